// Faint smooth noise on the photo, from which motifs begin where it is flat: the same as `stylenorm.noise`.

import { roundEven } from "./strokes.js";

const SPACINGS = [16, 32, 64]; // pixels between the random numbers of each octave
const CELL = 16; // pixels
const DETAIL = 0.03; // the deviation at which half of the noise is left
const SCALE = Math.sqrt(3 / SPACINGS.length) * (315 / 151); // to a standard deviation of 1

/**
 * The noise of a picture, row by row; its standard deviation is 1.
 * @param {import("./strokes.js").Size} size
 * @returns {Float64Array}
 */
export function smoothNoise([height, width]) {
  const noise = new Float64Array(height * width);
  SPACINGS.forEach((spacing, octave) => {
    const columns = Math.floor((width - 1) / spacing) + 4;
    const down = splines(height, spacing);
    const across = splines(width, spacing);
    const row = new Float64Array(columns);
    for (let y = 0; y < height; y++) {
      const i = Math.floor(y / spacing);
      for (let j = 0; j < columns; j++) {
        row[j] = 0;
        for (let tap = 0; tap < 4; tap++) row[j] += down[4 * y + tap] * random(i + tap, j, octave);
      }
      for (let x = 0; x < width; x++) {
        const j = Math.floor(x / spacing);
        for (let tap = 0; tap < 4; tap++) noise[y * width + x] += across[4 * x + tap] * row[j + tap];
      }
    }
  });
  return noise;
}

/**
 * A photo with noise, the same in all channels; without any, the photo itself.
 * @param {Float32Array} planes
 * @param {import("./strokes.js").Size} size
 * @param {number} amplitude the noise's standard deviation where the photo is flat
 * @param {boolean} isBytes whether the photo's numbers are of 8 bits, as they then are afterwards
 * @returns {Float32Array}
 */
export function withNoise(planes, size, amplitude, isBytes) {
  if (amplitude === 0) return planes;
  const count = size[0] * size[1];
  const noise = smoothNoise(size);
  const flat = flatness(planes.subarray(count, 2 * count), size);
  for (let i = 0; i < count; i++) {
    noise[i] *= amplitude * flat[i];
    if (isBytes) noise[i] = roundEven(255 * noise[i]) / 255;
  }
  return planes.map((value, at) => Math.min(1, Math.max(0, value + noise[at % count])));
}

/**
 * How flat a photo is, 0..1: by the deviation of green in cells, linear between their middles.
 * @param {Float32Array} green
 * @param {import("./strokes.js").Size} size
 * @returns {Float32Array}
 */
function flatness(green, [height, width]) {
  const rows = Math.ceil(height / CELL);
  const columns = Math.ceil(width / CELL);
  const cells = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let [count, sum, squares] = [0, 0, 0];
      for (let y = CELL * i; y < Math.min(height, CELL * (i + 1)); y++) {
        for (let x = CELL * j; x < Math.min(width, CELL * (j + 1)); x++) {
          const value = green[y * width + x];
          count++;
          sum += value;
          squares += value * value;
        }
      }
      const variance = Math.max(0, squares / count - (sum / count) ** 2);
      cells[i * columns + j] = 1 / (1 + variance / DETAIL ** 2);
    }
  }
  const across = Array.from({ length: width }, (_, x) => between(x, columns));
  const flat = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const [above, below, down] = between(y, rows);
    for (let x = 0; x < width; x++) {
      const [left, right, along] = across[x];
      const upper = cells[above * columns + left] * (1 - along) + cells[above * columns + right] * along;
      const lower = cells[below * columns + left] * (1 - along) + cells[below * columns + right] * along;
      flat[y * width + x] = upper * (1 - down) + lower * down;
    }
  }
  return flat;
}

/**
 * The two cells whose middles a pixel is between, and how near it is to the second.
 * @param {number} pixel
 * @param {number} cells how many there are
 * @returns {[number, number, number]}
 */
function between(pixel, cells) {
  const place = (pixel + 0.5) / CELL - 0.5;
  const before = Math.floor(place);
  return [Math.max(before, 0), Math.min(before + 1, cells - 1), place - before];
}

/**
 * How much each pixel sees of four places on the grid: cubic B-splines.
 * @param {number} count
 * @param {number} spacing
 */
function splines(count, spacing) {
  const weights = new Float64Array(4 * count);
  for (let pixel = 0; pixel < count; pixel++) {
    const t = (pixel % spacing) / spacing;
    const taps = [(1 - t) ** 3, 3 * t ** 3 - 6 * t ** 2 + 4, -3 * t ** 3 + 3 * t ** 2 + 3 * t + 1, t ** 3];
    taps.forEach((weight, tap) => { weights[4 * pixel + tap] = weight / 6; });
  }
  return weights;
}

/**
 * A hash of a place on an octave's grid, -1..1, scaled: the finalizer of MurmurHash3.
 * @param {number} i
 * @param {number} j
 * @param {number} octave
 */
function random(i, j, octave) {
  let h = Math.imul(i, 0x9e3779b1) + Math.imul(j, 0x85ebca77) + Math.imul(octave, 0x27d4eb2f);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h = (h ^ (h >>> 16)) >>> 0;
  return (h / 2 ** 31 - 1) * SCALE;
}
