// The wall: people's photo in every style, painted small, tile after tile as they are ready.

import { button, element, make } from "./dom.js";
import { drawn } from "./painters.js";
import { fitted } from "./pictures.js";

const TILE_PX = 320;

/** @typedef {import("./library.js").Entry} Entry */

export class Wall {
  /**
   * @param {import("./library.js").Library} library
   * @param {import("./turns.js").Turns} turns
   * @param {(key: string) => void} onChoose
   */
  constructor(library, turns, onChoose) {
    this.library = library;
    this.turns = turns;
    this.onChoose = onChoose;
    this.list = element("tiles");
    /** @type {Map<string, {button: HTMLButtonElement, canvas: HTMLCanvasElement}>} */
    this.tiles = new Map();
    this.running = new AbortController();
    button("stop-wall").onclick = () => this.stop();
    this.list.addEventListener("keydown", (event) => this.move(event));
  }

  /** @param {Entry} entry */
  addTile(entry) {
    if (this.tiles.has(entry.key)) return;
    const canvas = make("canvas");
    canvas.setAttribute("aria-hidden", "true");
    const picture = make("span", { className: "picture" }, [canvas]);
    const name = make("span", { className: "name", textContent: entry.title });
    const by = make("span", { className: "by", textContent: entry.about });
    const made = make("button", { className: "tile", type: "button", onclick: () => this.onChoose(entry.key) }, [picture, name, by]);
    made.dataset.key = entry.key;
    made.setAttribute("aria-pressed", "false");
    this.tiles.set(entry.key, { button: made, canvas });
    const item = make("li", {}, [made]);
    if (entry.key.startsWith("file:")) this.list.prepend(item);
    else this.list.append(item);
  }

  /**
   * Paint the wall anew.
   * @param {CanvasImageSource} photo
   * @param {[number, number]} size of the photo
   * @param {import("./library.js").Preset} preset
   * @param {import("./painters.js").BrowserPainter} painter
   */
  async paint(photo, size, preset, painter) {
    this.stop();
    const running = new AbortController();
    this.running = running;
    const [width, height] = fitted(...size, TILE_PX);
    this.small = drawn(photo, width, height);
    for (const entry of this.library.entries.values()) this.addTile(entry);
    for (const { button: tile, canvas } of this.tiles.values()) {
      delete tile.dataset.done;
      Object.assign(canvas, { width, height });
    }
    const keys = [...this.list.querySelectorAll(".tile")].map((tile) => /** @type {HTMLElement} */ (tile).dataset.key ?? "");
    let done = 0;
    element("wall-status").textContent = "The styles are being painted.";
    button("stop-wall").hidden = false;
    try {
      for (const key of keys) {
        this.show(`${done} of ${keys.length}`);
        await this.paintTile(this.library.get(key), preset, painter, running.signal);
        done++;
      }
      this.show("");
      element("wall-status").textContent = `Your photo is painted in ${done} styles.`;
    } catch (error) {
      if (!running.signal.aborted) throw error;
      if (this.running === running) this.show(`stopped at ${done} of ${keys.length}`);
    } finally {
      if (this.running === running) button("stop-wall").hidden = true;
    }
  }

  /**
   * @param {Entry} entry
   * @param {import("./library.js").Preset} wished
   * @param {import("./painters.js").BrowserPainter} painter
   * @param {AbortSignal} [signal]
   */
  async paintTile(entry, wished, painter, signal) {
    const tile = this.tiles.get(entry.key);
    const small = this.small;
    if (!tile || !small) return;
    const preset = entry.vectors[wished] ? wished : /** @type {import("./library.js").Preset} */ (Object.keys(entry.vectors)[0]);
    const vector = /** @type {Float32Array} */ (entry.vectors[preset]);
    const job = {
      preset, vector, pixels: small.data, width: small.width, height: small.height, keepColors: false, strokeSize: 1,
      noise: this.library.networks[preset]?.noise ?? 0,
    };
    const painted = await this.turns.take(false, async () => {
      signal?.throwIfAborted();
      return painter.paint(job, signal);
    });
    Object.assign(tile.canvas, { width: small.width, height: small.height });
    tile.canvas.getContext("2d")?.putImageData(painted, 0, 0);
    tile.button.dataset.done = "";
  }

  stop() {
    this.running.abort();
  }

  /** @param {string} text */
  show(text) {
    element("wall-count").textContent = text;
  }

  /**
   * Mark the styles that are in the large picture.
   * @param {readonly string[]} keys
   */
  mark(keys) {
    for (const [key, { button: tile }] of this.tiles) tile.setAttribute("aria-pressed", String(keys.includes(key)));
  }

  /** @param {string} key */
  reveal(key) {
    const tile = this.tiles.get(key)?.button;
    const item = tile?.parentElement;
    if (item) this.list.scrollTo({ left: item.offsetLeft - this.list.clientWidth / 2, behavior: "smooth" });
  }

  /**
   * Arrow keys go from tile to tile.
   * @param {KeyboardEvent} event
   */
  move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const tiles = /** @type {HTMLElement[]} */ ([...this.list.querySelectorAll(".tile")]);
    const at = tiles.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (!step || at < 0) return;
    event.preventDefault();
    tiles[(at + step + tiles.length) % tiles.length].focus();
  }
}
