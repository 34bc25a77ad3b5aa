// The photo's colours in its painting: luma of the one, chroma of the other, as `stylenorm.colors.keep_luminance`.

const [R, G, B] = [0.2126, 0.7152, 0.0722].map(Math.fround); // Rec. 709
const TINY = 1e-6;

/**
 * Change a painting in place. Both are planes of red, green and blue, one behind the other, 0..1.
 * @param {Float32Array} painting
 * @param {Float32Array} photo
 */
export function keepLuminance(painting, photo) {
  const count = painting.length / 3;
  for (let i = 0; i < count; i++) {
    const luma = clip(R * painting[i] + G * painting[i + count] + B * painting[i + 2 * count]);
    const r = photo[i];
    const g = photo[i + count];
    const b = photo[i + 2 * count];
    const grey = R * r + G * g + B * b;
    const highest = Math.max(r, g, b) - grey;
    const lowest = Math.min(r, g, b) - grey;
    // the largest s with luma + s * highest <= 1 and luma + s * lowest >= 0
    const fit = Math.min((1 - luma) / Math.max(highest, TINY), luma / Math.max(-lowest, TINY), 1);
    painting[i] = clip(luma + fit * (r - grey));
    painting[i + count] = clip(luma + fit * (g - grey));
    painting[i + 2 * count] = clip(luma + fit * (b - grey));
  }
}

/** @param {number} value */
function clip(value) {
  return value < 0 ? 0 : value > 1 ? 1 : value;
}
