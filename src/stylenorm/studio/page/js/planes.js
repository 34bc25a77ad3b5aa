// Pixels as networks read them: planes of red, green and blue, one behind the other, float32, 0..1.

/**
 * @param {Uint8ClampedArray} rgba
 * @returns {Float32Array}
 */
export function toPlanes(rgba) {
  const count = rgba.length / 4;
  const planes = new Float32Array(3 * count);
  const hidden = meanOfVisible(rgba);
  for (let i = 0; i < count; i++) {
    const isHidden = rgba[4 * i + 3] === 0; // nobody sees it, but the norms' statistics would
    for (let c = 0; c < 3; c++) planes[c * count + i] = isHidden ? hidden[c] : rgba[4 * i + c] / 255;
  }
  return planes;
}

/**
 * @param {Float32Array} planes
 * @param {Uint8ClampedArray} alphaOf pixels whose alpha is taken over
 * @returns {Uint8ClampedArray}
 */
export function toPixels(planes, alphaOf) {
  const count = planes.length / 3;
  const rgba = new Uint8ClampedArray(4 * count); // rounds to the nearest, and clips
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = planes[c * count + i] * 255;
    rgba[4 * i + 3] = alphaOf[4 * i + 3];
  }
  return rgba;
}

/** @param {Uint8ClampedArray} rgba */
function meanOfVisible(rgba) {
  const sums = [0, 0, 0];
  let visible = 0;
  for (let i = 0; i < rgba.length; i += 4) {
    if (rgba[i + 3] === 0) continue;
    visible++;
    for (let c = 0; c < 3; c++) sums[c] += rgba[i + c];
  }
  return sums.map((sum) => (visible ? sum / visible / 255 : 0.5));
}
