// The controls of the large picture: settings in, settings out.

import { button, element, input, make, tell, the } from "./dom.js";
import { commandLine, paintingName, pythonLines, styleText } from "./names.js";

const MOST_PARTS = 3;

/** @typedef {import("./library.js").Settings} Settings */
/** @typedef {"png" | "jpeg"} Format */

export class Panel {
  /**
   * @param {import("./library.js").Library} library
   * @param {(settings: Settings, moving: boolean) => void} onChange
   */
  constructor(library, onChange) {
    this.library = library;
    this.onChange = onChange;
    /** @type {Settings | null} */
    this.settings = null;
    /** @type {Format} */
    this.format = "png";
    this.photoName = "photo.jpg";
    const strength = input("strength");
    const strokes = input("strokes");
    strength.oninput = () => this.change({ strength: strength.valueAsNumber / 100 }, true);
    strength.onchange = () => this.change({ strength: strength.valueAsNumber / 100 }, false);
    strokes.oninput = () => this.change({ strokeSize: strokes.valueAsNumber }, true);
    strokes.onchange = () => this.change({ strokeSize: strokes.valueAsNumber }, false);
    const keep = input("keep-colors");
    keep.onchange = () => this.change({ keepColors: keep.checked }, false);
    for (const radio of radios("preset")) radio.onchange = () => this.change({ preset: /** @type {any} */ (radio.value) }, false);
    for (const radio of radios("format")) {
      radio.onchange = () => {
        this.format = /** @type {Format} */ (radio.value);
        this.showWords();
      };
    }
    button("add-part").onclick = () => this.addPart();
    for (const copier of document.querySelectorAll("[data-copy]")) {
      const copy = /** @type {HTMLButtonElement} */ (copier);
      const label = copy.textContent;
      copy.onclick = async () => {
        await navigator.clipboard.writeText(element(copy.dataset.copy ?? "").textContent ?? "");
        copy.textContent = "Copied";
        setTimeout(() => (copy.textContent = label), 1500);
      };
    }
  }

  /**
   * @param {Partial<Settings>} changed
   * @param {boolean} moving whether a slider is still being moved
   */
  change(changed, moving) {
    if (!this.settings) return;
    const settings = { ...this.settings, ...changed };
    try {
      const preset = this.library.presetFor(settings);
      this.onChange(changed.preset ? { ...settings, preset } : settings, moving);
    } catch (error) {
      tell(error);
      delete element("parts").dataset.keys; // the rows show what was not taken
      this.showParts();
    }
  }

  /**
   * Show settings; controls that have the focus are left alone.
   * @param {Settings} settings
   * @param {string} photoName
   * @param {Format} [format]
   */
  show(settings, photoName, format) {
    const before = this.settings;
    this.settings = settings;
    this.photoName = photoName;
    if (format) this.format = format;
    input("strength").value = String(Math.round(settings.strength * 100));
    element("strength-shown").textContent = `${Math.round(settings.strength * 100)} %`;
    input("strokes").value = String(settings.strokeSize);
    element("strokes-shown").textContent = `× ${settings.strokeSize.toFixed(1)}`;
    input("keep-colors").checked = settings.keepColors;
    const painted = this.library.presetFor(settings);
    for (const radio of radios("preset")) radio.checked = radio.value === painted;
    for (const radio of radios("format")) radio.checked = radio.value === this.format;
    if (before?.parts !== settings.parts) this.showParts();
    element("style-title").textContent = this.library.title(settings);
    element("style-about").textContent = settings.parts.length === 1 ? this.library.get(settings.parts[0].key).about : "";
    this.showWords();
  }

  showWords() {
    if (!this.settings) return;
    const { strength, keepColors, strokeSize } = this.settings;
    const parts = this.library.named(this.settings);
    const shown = {
      photo: this.photoName, parts, strength, keepColors, strokeSize, format: this.format,
      preset: this.library.presetFor(this.settings),
    };
    element("command").textContent = commandLine(shown);
    element("python").textContent = pythonLines(shown);
    element("filename").textContent = paintingName(this.photoName, styleText(parts), this.format);
  }

  /** One row for each style of the mixture; rows that fit are kept, so that a slider in use stays. */
  showParts() {
    const { parts } = /** @type {Settings} */ (this.settings);
    const list = element("parts");
    const keys = parts.map((part) => part.key).join("\n");
    if (list.dataset.keys === keys && parts.length > 1) {
      parts.forEach((part, i) => {
        const row = list.children[i];
        /** @type {HTMLInputElement} */ (row.querySelector("input")).value = String(Math.round(part.weight * 100));
        /** @type {HTMLElement} */ (row.querySelector("output")).textContent = share(parts, i);
      });
      return;
    }
    list.dataset.keys = keys;
    list.replaceChildren(...parts.map((_, i) => this.row(i)));
    button("add-part").disabled = parts.length >= MOST_PARTS;
  }

  /** @param {number} i */
  row(i) {
    const { parts } = /** @type {Settings} */ (this.settings);
    const title = this.library.get(parts[i].key).title;
    const select = make("select", {}, [...this.library.entries.values()].map((entry) =>
      make("option", { value: entry.key, textContent: entry.title, selected: entry.key === parts[i].key, disabled: entry.key !== parts[i].key && parts.some((part) => part.key === entry.key) }),
    ));
    select.setAttribute("aria-label", parts.length > 1 ? `Style ${i + 1}` : "Style");
    select.onchange = () => this.change({ parts: this.replaced(i, { key: select.value }) }, false);
    if (parts.length === 1) return make("li", { className: "part" }, [select]);
    const slider = make("input", { type: "range", min: "1", max: "100", step: "1", value: String(Math.round(parts[i].weight * 100)) });
    slider.setAttribute("aria-label", `How much of ${title}`);
    slider.oninput = () => this.change({ parts: this.replaced(i, { weight: slider.valueAsNumber / 100 }) }, true);
    slider.onchange = () => this.change({ parts: this.replaced(i, { weight: slider.valueAsNumber / 100 }) }, false);
    const remove = make("button", { type: "button", className: "quiet remove", textContent: "×" });
    remove.setAttribute("aria-label", `Take ${title} out of the mixture`);
    remove.onclick = () => {
      this.change({ parts: this.currentParts().filter((_, at) => at !== i) }, false);
      button("add-part").focus();
    };
    return make("li", { className: "part" }, [select, make("output", { textContent: share(parts, i) }), remove, slider]);
  }

  currentParts() {
    return /** @type {Settings} */ (this.settings).parts;
  }

  /**
   * @param {number} i
   * @param {Partial<{key: string, weight: number}>} changed
   */
  replaced(i, changed) {
    return this.currentParts().map((part, at) => (at === i ? { ...part, ...changed } : part));
  }

  /** @param {string} [wished] */
  addPart(wished) {
    const parts = this.currentParts();
    const free = wished ?? [...this.library.entries.keys()].find((key) => parts.every((part) => part.key !== key));
    if (!free || parts.length >= MOST_PARTS) return;
    this.change({ parts: [...parts.map((part) => (parts.length === 1 ? { ...part, weight: 0.5 } : part)), { key: free, weight: 0.5 }] }, false);
    the("parts", HTMLUListElement).lastElementChild?.querySelector("select")?.focus();
  }
}

/** @param {string} name */
function radios(name) {
  return /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll(`input[name="${name}"]`));
}

/**
 * @param {readonly {weight: number}[]} parts
 * @param {number} i
 */
function share(parts, i) {
  const total = parts.reduce((sum, part) => sum + part.weight, 0);
  return `${Math.round((100 * parts[i].weight) / total)} %`;
}
