// Pictures in: how large a file says it is, before anything is decoded; then upright and in sRGB.

/** @typedef {{file: Blob, name: string, bitmap: ImageBitmap, width: number, height: number}} Photo */

const HEAD_BYTES = 1 << 18; // a JPEG's size stands behind its metadata

/**
 * Width and height by a file's header, or null where it is of a kind that is not known here.
 * @param {Uint8Array} head
 * @returns {[number, number] | null}
 */
export function sizeOf(head) {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const text = (/** @type {number} */ at, /** @type {number} */ count) => String.fromCharCode(...head.subarray(at, at + count));
  try {
    if (text(1, 3) === "PNG") return [view.getUint32(16), view.getUint32(20)];
    if (text(0, 3) === "GIF") return [view.getUint16(6, true), view.getUint16(8, true)];
    if (text(0, 2) === "BM") return [view.getInt32(18, true), Math.abs(view.getInt32(22, true))];
    if (text(0, 4) === "RIFF" && text(8, 4) === "WEBP") return webpSize(view, text(12, 4));
    if (view.getUint16(0) === 0xffd8) return jpegSize(view);
  } catch {
    return null; // it ends too early: decoding says what is wrong
  }
  return null;
}

/**
 * @param {DataView} view
 * @param {string} kind
 * @returns {[number, number] | null}
 */
function webpSize(view, kind) {
  if (kind === "VP8 ") return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
  if (kind === "VP8L") {
    const bits = view.getUint32(21, true);
    return [(bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1];
  }
  const side = (/** @type {number} */ at) => view.getUint16(at, true) + (view.getUint8(at + 2) << 16) + 1;
  return kind === "VP8X" ? [side(24), side(27)] : null;
}

/**
 * @param {DataView} view
 * @returns {[number, number] | null}
 */
function jpegSize(view) {
  let at = 2;
  while (at < view.byteLength) {
    if (view.getUint8(at) !== 0xff) return null;
    const mark = view.getUint8(at + 1);
    if (mark === 0xff) { at += 1; continue; }
    const isFrame = mark >= 0xc0 && mark <= 0xcf && mark !== 0xc4 && mark !== 0xc8 && mark !== 0xcc;
    if (isFrame) return [view.getUint16(at + 7), view.getUint16(at + 5)];
    at += 2 + view.getUint16(at + 2);
  }
  return null;
}

/**
 * Open a picture.
 * @param {Blob} file
 * @param {string} name
 * @param {number} maxMegapixels
 * @param {((file: Blob) => Promise<Blob>) | null} decode of pictures that the browser cannot read
 * @returns {Promise<Photo>}
 */
export async function openPhoto(file, name, maxMegapixels, decode) {
  const head = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  const size = sizeOf(head);
  if (size && size[0] * size[1] > maxMegapixels * 1e6) {
    const megapixels = Math.round((size[0] * size[1]) / 1e6);
    throw new Error(`${name} has ${megapixels} megapixels, and ${maxMegapixels} are what can be opened here: make it smaller first.`);
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    bitmap = await decodedElsewhere(file, name, isForOthers(head) ? decode : null);
  }
  return { file, name, bitmap, width: bitmap.width, height: bitmap.height };
}

/**
 * Whether a file begins like a TIFF or a HEIC, which few browsers read.
 * @param {Uint8Array} head
 */
function isForOthers(head) {
  const text = String.fromCharCode(...head.subarray(0, 8));
  return text.startsWith("II*") || text.startsWith("MM\0*") || text.slice(4) === "ftyp";
}

/**
 * @param {Blob} file
 * @param {string} name
 * @param {((file: Blob) => Promise<Blob>) | null} decode
 */
async function decodedElsewhere(file, name, decode) {
  const wanted = `${name} is no picture that can be read here: take a JPEG, PNG, WebP or AVIF.`;
  if (!decode) throw new Error(wanted);
  let readable;
  try {
    readable = await decode(file);
  } catch (error) {
    throw new Error(/program has ended/.test(String(error)) ? /** @type {Error} */ (error).message : wanted);
  }
  return createImageBitmap(readable);
}

/**
 * The size at which a picture's longer side has so many pixels at most.
 * @param {number} width
 * @param {number} height
 * @param {number} longest
 * @returns {[number, number]}
 */
export function fitted(width, height, longest) {
  const scale = Math.min(1, longest / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

/**
 * The pictures among what was dropped, folders and all.
 * @param {DataTransfer} transfer
 * @returns {Promise<File[]>}
 */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null);
  if (!entries.some((entry) => entry?.isDirectory)) return [...transfer.files];
  const found = await Promise.all(entries.map((entry) => (entry ? filesOf(entry) : [])));
  return found.flat().filter((file) => /^image\//.test(file.type) || /\.(heic|heif|tiff?)$/i.test(file.name));
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<File[]>}
 */
async function filesOf(entry) {
  if (entry.isFile) {
    return [await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject))];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const files = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return files;
    for (const each of some) files.push(...(await filesOf(each)));
  }
}
