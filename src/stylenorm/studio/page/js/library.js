// The styles there are: those of the networks, and people's own by file or by picture.

import { mix, readStyleFile, weaken } from "./styles.js";

/** @typedef {"standard" | "live"} Preset */
/**
 * @typedef {object} Entry
 * @property {string} key
 * @property {string} text as the command line names it: a name or a file
 * @property {string} title
 * @property {string} about
 * @property {Partial<Record<Preset, Float32Array>>} vectors of the networks that know it
 */
/**
 * @typedef {object} Settings what people choose; never changed, only replaced
 * @property {readonly {key: string, weight: number}[]} parts
 * @property {number} strength 0 to 1
 * @property {boolean} keepColors
 * @property {number} strokeSize
 * @property {Preset} preset
 */

const IDENTITY = "identity";
/** @type {readonly Preset[]} */
export const PRESETS = ["standard", "live"];

export class Library {
  constructor() {
    /** @type {Map<string, Entry>} */
    this.entries = new Map();
    /** @type {Partial<Record<Preset, import("./styles.js").Network>>} */
    this.networks = {};
    /** @type {Partial<Record<Preset, Float32Array>>} */
    this.identities = {};
  }

  /** Load what styles there are; networks themselves wait until they are needed. */
  async load() {
    await Promise.all(PRESETS.map((preset) => this.loadNetwork(preset)));
  }

  /** @param {Preset} preset */
  async loadNetwork(preset) {
    const folder = `./networks/${preset}/`;
    const [about, vectors] = await Promise.all([
      fetch(`${folder}styles.json`).then((answer) => answer.json()),
      fetch(`${folder}styles.bin`).then((answer) => answer.arrayBuffer()),
    ]);
    this.networks[preset] = about;
    const length = vectors.byteLength / 4 / about.styles.length;
    about.styles.forEach((/** @type {any} */ style, /** @type {number} */ i) => {
      const vector = new Float32Array(vectors, 4 * i * length, length);
      if (style.name === IDENTITY) this.identities[preset] = vector;
      else this.entry(style.name, style.name, style.title || style.name, aboutText(style)).vectors[preset] = vector;
    });
  }

  /**
   * @param {string} key
   * @param {string} text
   * @param {string} title
   * @param {string} about
   */
  entry(key, text, title, about) {
    let entry = this.entries.get(key);
    if (!entry) {
      entry = { key, text, title, about, vectors: {} };
      this.entries.set(key, entry);
    }
    return entry;
  }

  /** @param {string} key */
  get(key) {
    const entry = this.entries.get(key);
    if (!entry) throw new Error(`There is no style ${key}.`);
    return entry;
  }

  /**
   * Add a style of one's own from its file.
   * @param {File} file
   * @returns {Promise<Entry>}
   */
  async addFile(file) {
    const networks = PRESETS.map((preset) => this.networks[preset]).filter((network) => network !== undefined);
    const { vector, network, about } = readStyleFile(await file.arrayBuffer(), file.name, networks);
    const preset = PRESETS.find((each) => this.networks[each] === network) ?? "standard";
    const entry = this.entry(`file:${file.name}`, file.name, about.title || about.name || file.name, aboutText(about) || "your style");
    entry.vectors = { [preset]: vector };
    return entry;
  }

  /**
   * Add a picture's style.
   * @param {string} name the picture's file name
   * @param {Float32Array} vector of the standard network
   */
  addPicture(name, vector) {
    const entry = this.entry(`file:${name}`, name, name.replace(/\.\w+$/, ""), "your picture");
    entry.vectors = { standard: vector };
    return entry;
  }

  /**
   * The network that knows all styles of a mixture: the one wished for, if it does.
   * @param {Settings} settings
   * @returns {Preset}
   */
  presetFor({ parts, preset }) {
    const knows = (/** @type {Preset} */ each) => parts.every(({ key }) => this.get(key).vectors[each]);
    const found = [preset, ...PRESETS].find(knows);
    if (!found) throw new Error("These styles belong to different networks, and cannot be mixed.");
    return found;
  }

  /**
   * The vector that is painted with.
   * @param {Settings} settings
   */
  vector(settings) {
    const preset = this.presetFor(settings);
    const parts = settings.parts.map(({ key, weight }) => ({
      vector: /** @type {Float32Array} */ (this.get(key).vectors[preset]),
      weight,
    }));
    return weaken(mix(parts), settings.strength, /** @type {Float32Array} */ (this.identities[preset]));
  }

  /**
   * How much noise a photo gets before it is painted.
   * @param {Settings} settings
   */
  noise(settings) {
    return this.networks[this.presetFor(settings)]?.noise ?? 0;
  }

  /** @param {Settings} settings */
  named({ parts }) {
    return parts.map(({ key, weight }) => ({ text: this.get(key).text, weight }));
  }

  /** @param {Settings} settings */
  title({ parts }) {
    return parts.map(({ key }) => this.get(key).title).join(" + ");
  }
}

/** @param {Record<string, string>} style */
function aboutText(style) {
  return [style.artist, style.year].filter(Boolean).join(", ");
}
