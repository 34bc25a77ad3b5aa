// A zip of files as they are: pictures are compressed already.

const UTF8_NAMES = 0x0800;
const VERSION = 20;
const DOS_1980 = 0x0021;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** @param {Uint8Array} bytes */
export function crc32(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = (sum >>> 8) ^ TABLE[(sum ^ byte) & 255];
  return (sum ^ 0xffffffff) >>> 0;
}

/** Collects files; the browser keeps them on disk where they are many, since they are Blobs. */
export class Zip {
  constructor() {
    /** @type {Blob[]} */
    this.parts = [];
    /** @type {Uint8Array<ArrayBuffer>[]} */
    this.directory = [];
    /** @type {Set<string>} */
    this.names = new Set();
    this.offset = 0;
  }

  /**
   * Add a file; a name that is taken gets a number.
   * @param {string} name
   * @param {Blob} content
   */
  async add(name, content) {
    const free = this.freeName(name);
    const bytes = new Uint8Array(await content.arrayBuffer());
    const encoded = new TextEncoder().encode(free);
    const common = [VERSION, UTF8_NAMES, 0, 0, DOS_1980];
    const sizes = [crc32(bytes), bytes.length, bytes.length];
    const local = record(0x04034b50, common, sizes, [encoded.length, 0], encoded);
    const central = record(0x02014b50, [VERSION, ...common], sizes, [encoded.length, 0, 0, 0, 0, 0, 0], null);
    this.directory.push(joined(central, number32(this.offset), encoded));
    this.parts.push(new Blob([local, content]));
    this.offset += local.length + bytes.length;
    if (this.offset > 0xffffffff) throw new Error("These paintings are more than a zip of 4 GB holds: paint fewer at once.");
  }

  /** @returns {Blob} */
  toBlob() {
    const size = this.directory.reduce((sum, entry) => sum + entry.length, 0);
    const count = this.directory.length;
    const end = record(0x06054b50, [0, 0, count, count], [size, this.offset], [0], null);
    return new Blob([...this.parts, ...this.directory, end], { type: "application/zip" });
  }

  /** @param {string} name */
  freeName(name) {
    const dot = name.lastIndexOf(".");
    let free = name;
    for (let i = 2; this.names.has(free.toLowerCase()); i++) free = `${name.slice(0, dot)}-${i}${name.slice(dot)}`;
    this.names.add(free.toLowerCase());
    return free;
  }
}

/**
 * @param {number} mark
 * @param {number[]} shorts
 * @param {number[]} longs
 * @param {number[]} more shorts
 * @param {Uint8Array | null} tail
 */
function record(mark, shorts, longs, more, tail) {
  const bytes = new Uint8Array(4 + 2 * shorts.length + 4 * longs.length + 2 * more.length);
  const view = new DataView(bytes.buffer);
  let at = 4;
  view.setUint32(0, mark, true);
  for (const value of shorts) view.setUint16((at += 2) - 2, value, true);
  for (const value of longs) view.setUint32((at += 4) - 4, value, true);
  for (const value of more) view.setUint16((at += 2) - 2, value, true);
  return tail ? joined(bytes, tail) : bytes;
}

/** @param {number} value */
function number32(value) {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** @param {Uint8Array[]} parts */
function joined(...parts) {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
