// Strokes that grow with the picture, as `stylenorm.tiles.strokes`: a photo is painted small, and enlarged with
// its own detail. Sizes are [height, width]; planes are one behind the other.

const [R, G, B] = [0.2126, 0.7152, 0.0722].map(Math.fround);
const WINDOW = 4; // positions of the small picture to each side
const EPS = 1e-3; // of variance: what is flatter in the photo gets no detail
const LANCZOS = 3;

/** @typedef {[number, number]} Size height and width */

/**
 * The size at which a photo is painted.
 * @param {Size} size
 * @param {number} strokeSize
 * @returns {Size}
 */
export function shrunkSize(size, strokeSize) {
  return [Math.max(1, roundEven(size[0] / strokeSize)), Math.max(1, roundEven(size[1] / strokeSize))];
}

/**
 * Python's rounding: halves to the even neighbour.
 * @param {number} value
 */
export function roundEven(value) {
  const down = Math.floor(value);
  if (value - down !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}

/**
 * Resize by Lanczos' filter, as Pillow does: antialiased, borders cut off.
 * @param {Float32Array} planes
 * @param {Size} from
 * @param {Size} to
 * @returns {Float32Array}
 */
export function resize(planes, from, to) {
  const count = planes.length / (from[0] * from[1]);
  const columns = weights(from[1], to[1]);
  const rows = weights(from[0], to[0]);
  const out = new Float32Array(count * to[0] * to[1]);
  const wide = new Float32Array(from[0] * to[1]);
  const sums = new Float64Array(to[1]);
  for (let c = 0; c < count; c++) {
    const base = c * from[0] * from[1];
    for (let y = 0; y < from[0]; y++) {
      const row = base + y * from[1];
      for (let x = 0; x < to[1]; x++) {
        const { first, values } = columns[x];
        let sum = 0;
        for (let k = 0; k < values.length; k++) sum += values[k] * planes[row + first + k];
        wide[y * to[1] + x] = sum;
      }
    }
    for (let y = 0; y < to[0]; y++) {
      const { first, values } = rows[y];
      sums.fill(0);
      for (let k = 0; k < values.length; k++) {
        const row = (first + k) * to[1];
        for (let x = 0; x < to[1]; x++) sums[x] += values[k] * wide[row + x];
      }
      out.set(sums, (c * to[0] + y) * to[1]);
    }
  }
  return out;
}

/**
 * @param {number} from
 * @param {number} to
 */
function weights(from, to) {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const reach = LANCZOS * stretch;
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const last = Math.min(from, Math.trunc(center + reach + 0.5));
    const values = new Float64Array(last - first);
    let total = 0;
    for (let k = 0; k < values.length; k++) {
      values[k] = lanczos((first + k - center + 0.5) / stretch);
      total += values[k];
    }
    return { first, values: values.map((value) => value / total) };
  });
}

/** @param {number} x */
function lanczos(x) {
  if (x === 0) return 1;
  if (x <= -LANCZOS || x >= LANCZOS) return 0;
  const angle = Math.PI * x;
  return (LANCZOS * Math.sin(angle) * Math.sin(angle / LANCZOS)) / (angle * angle);
}

/**
 * Enlarge a small painting, and carry the photo's detail over.
 * @param {Float32Array} photo
 * @param {Size} size
 * @param {Float32Array} smallPhoto
 * @param {Float32Array} smallPainting
 * @param {Size} smallSize
 * @returns {Float32Array}
 */
export function carryDetail(photo, size, smallPhoto, smallPainting, smallSize) {
  const small = luma(smallPhoto);
  const gain = resize(gains(small, luma(smallPainting), smallSize), smallSize, size);
  const coarse = resize(small, smallSize, size);
  const out = resize(smallPainting, smallSize, size);
  const count = size[0] * size[1];
  for (let i = 0; i < count; i++) {
    const detail = gain[i] * (R * photo[i] + G * photo[i + count] + B * photo[i + 2 * count] - coarse[i]);
    for (let c = 0; c < 3; c++) out[c * count + i] = Math.min(1, Math.max(0, out[c * count + i] + detail));
  }
  return out;
}

/** @param {Float32Array} planes */
function luma(planes) {
  const count = planes.length / 3;
  return Float32Array.from({ length: count }, (_, i) => R * planes[i] + G * planes[i + count] + B * planes[i + 2 * count]);
}

/**
 * How much of the photo's contrast the painting has, in windows; 0..1.
 * @param {Float32Array} photo
 * @param {Float32Array} painting
 * @param {Size} size
 */
function gains(photo, painting, size) {
  const mean = windowMeans(photo, size);
  const painted = windowMeans(painting, size);
  const products = windowMeans(Float64Array.from(photo, (value, i) => value * painting[i]), size);
  const squares = windowMeans(Float64Array.from(photo, (value) => value * value), size);
  return Float32Array.from(mean, (value, i) => {
    const slope = (products[i] - value * painted[i]) / (squares[i] - value * value + EPS);
    return Math.min(1, Math.max(0, slope));
  });
}

/**
 * Mean of each window, borders replicated.
 * @param {Float32Array | Float64Array} plane
 * @param {Size} size
 */
function windowMeans(plane, [height, width]) {
  const across = new Float64Array(plane.length);
  for (let y = 0; y < height; y++) slide((x) => plane[y * width + x], width, (x, v) => (across[y * width + x] = v));
  const means = new Float64Array(plane.length);
  for (let x = 0; x < width; x++) slide((y) => across[y * width + x], height, (y, v) => (means[y * width + x] = v));
  return means;
}

/**
 * @param {(i: number) => number} read
 * @param {number} length
 * @param {(i: number, value: number) => void} write
 */
function slide(read, length, write) {
  const at = (/** @type {number} */ i) => read(Math.min(length - 1, Math.max(0, i)));
  let sum = 0;
  for (let i = -WINDOW; i <= WINDOW; i++) sum += at(i);
  for (let i = 0; i < length; i++) {
    write(i, sum / (2 * WINDOW + 1));
    sum += at(i + WINDOW + 1) - at(i - WINDOW);
  }
}
