// What Python's `stylenorm.Style` does with styles, in the same arithmetic: float32, one operation at a time.
// A style vector is gamma and beta of each norm in turn, then the photo gate.

/**
 * @typedef {object} Network
 * @property {string} identity 16 hexadecimal digits that change with layers and weights
 * @property {number[]} norm_sizes channels of each norm
 * @property {number} noise how much noise photos get before they are painted
 * @property {boolean} predictor whether any picture can be a style
 */
/** @typedef {{vector: Float32Array, weight: number}} Part */

const FORMAT = "stylenorm-style-1";
const WEIGHT_TOLERANCE = 1e-3;

/**
 * Numbers in a style vector.
 * @param {Network} network
 */
export function styleLength(network) {
  return 2 * network.norm_sizes.reduce((sum, size) => sum + size, 0) + 1;
}

/**
 * A mixture; weights are positive, and what they add up to is 1 afterwards, whatever it was.
 * @param {Part[]} parts
 * @returns {Float32Array}
 */
export function mix(parts) {
  if (parts.length === 1) return parts[0].vector.slice();
  const total = parts.reduce((sum, part) => sum + part.weight, 0);
  if (!(total > WEIGHT_TOLERANCE)) throw new Error("A mixture needs a style with some weight.");
  const scaled = parts.map((part) => times(part.vector, part.weight / total));
  let sum = scaled[0];
  let weight = parts[0].weight / total;
  for (let i = 1; i < parts.length; i++) {
    sum = plus(sum, scaled[i]);
    weight += parts[i].weight / total;
  }
  return toVector(weight === 1 ? sum : times2(sum, 1 / weight));
}

/**
 * Mix with the identity style: 1 leaves the style as it is, 0 gives the photo back.
 * @param {Float32Array} vector
 * @param {number} strength
 * @param {Float32Array} identity
 */
export function weaken(vector, strength, identity) {
  if (strength === 1) return vector;
  return toVector(plus(times(vector, strength), times(identity, 1 - strength)));
}

/**
 * How much of the photo goes straight to the output; 1 is the photo itself.
 * @param {Float32Array} vector
 */
export function photoGate(vector) {
  return vector[vector.length - 1];
}

/** @typedef {{channels: Float32Array, gate: number}} Scaled the gate is a double, as it is in Python */

/**
 * @param {Float32Array} vector
 * @param {number} factor
 * @returns {Scaled}
 */
function times(vector, factor) {
  return times2({ channels: vector, gate: photoGate(vector) }, factor);
}

/**
 * @param {Scaled} style
 * @param {number} factor
 * @returns {Scaled}
 */
function times2(style, factor) {
  const rounded = Math.fround(factor);
  return { channels: style.channels.map((value) => rounded * value), gate: factor * style.gate };
}

/**
 * @param {Scaled} a
 * @param {Scaled} b
 * @returns {Scaled}
 */
function plus(a, b) {
  return { channels: a.channels.map((value, i) => value + b.channels[i]), gate: a.gate + b.gate };
}

/** @param {Scaled} style */
function toVector(style) {
  const vector = style.channels.slice();
  vector[vector.length - 1] = style.gate;
  return vector;
}

/**
 * Read a style file (safetensors), as `stylenorm learn` writes it.
 * @param {ArrayBuffer} content
 * @param {string} fileName for the messages
 * @param {Network[]} networks of which it may be
 * @returns {{vector: Float32Array, network: Network, about: Record<string, string>}}
 */
export function readStyleFile(content, fileName, networks) {
  const { header, data } = readHeader(content, fileName);
  const about = header.__metadata__ ?? {};
  if (about.format !== FORMAT) throw new Error(`${fileName} is no style file: 'stylenorm learn' makes one.`);
  const network = networks.find((each) => each.identity === about.network);
  if (!network) throw new Error(`${fileName} belongs to another network, and cannot be painted here.`);
  const vector = new Float32Array(styleLength(network));
  let at = 0;
  /** @type {(name: string, size: number) => void} */
  const take = (name, size) => {
    const entry = header[name];
    const [start, end] = entry?.data_offsets ?? [0, -1];
    if (entry?.dtype !== "F32" || end - start !== 4 * size || start < 0 || end > data.byteLength) {
      throw new Error(`${fileName} is damaged: it lacks a part of the style.`);
    }
    vector.set(new Float32Array(data.slice(start, end)), at);
    at += size;
  };
  network.norm_sizes.forEach((size, i) => {
    const number = String(i).padStart(2, "0");
    take(`gamma.${number}`, size);
    take(`beta.${number}`, size);
  });
  take("photo_gate", 1);
  if (!vector.every(Number.isFinite)) throw new Error(`${fileName} is damaged: it holds numbers that are none.`);
  return { vector, network, about };
}

/**
 * @param {ArrayBuffer} content
 * @param {string} fileName
 * @returns {{header: Record<string, any>, data: ArrayBuffer}}
 */
function readHeader(content, fileName) {
  try {
    const length = Number(new DataView(content).getBigUint64(0, true));
    if (length > content.byteLength - 8) throw new RangeError("header");
    const text = new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(content, 8, length));
    return { header: JSON.parse(text), data: content.slice(8 + length) };
  } catch {
    throw new Error(`${fileName} is no style file: 'stylenorm learn' makes one.`);
  }
}
