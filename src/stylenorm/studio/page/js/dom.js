// Elements of the page by their id, and what tells people something.

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function the(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`no ${kind.name} with id ${id}`);
  return found;
}

/** @param {string} id */
export const button = (id) => the(id, HTMLButtonElement);
/** @param {string} id */
export const input = (id) => the(id, HTMLInputElement);
/** @param {string} id */
export const element = (id) => the(id, HTMLElement);

/**
 * A new element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} [properties]
 * @param {(Node | string)[]} [children]
 */
export function make(tag, properties = {}, children = []) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

/**
 * Tell what went wrong; what people stopped themselves is nothing.
 * @param {unknown} error
 */
export function tell(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  notice(error instanceof Error ? error.message : String(error), "bad");
}

/**
 * Tell what is good to know.
 * @param {string} text
 */
export function say(text) {
  notice(text, "good");
}

/**
 * @param {string} text
 * @param {"good" | "bad"} kind
 */
function notice(text, kind) {
  element("notice-text").textContent = text;
  element("notice").dataset.kind = kind;
  element("notice").hidden = false;
}

export function untell() {
  element("notice").hidden = true;
}

/** Work that takes a while: what it is, how far it is, and a way to stop it. */
export class Work {
  /**
   * @param {string} text
   * @param {number} [steps] without it, nobody knows how long it takes
   */
  constructor(text, steps) {
    this.stopping = new AbortController();
    this.bar = the("work-bar", HTMLProgressElement);
    this.show(text);
    this.bar.removeAttribute("value");
    if (steps) Object.assign(this.bar, { max: steps, value: 0 });
    element("work").hidden = false;
    button("work-stop").onclick = () => this.stopping.abort();
  }

  get signal() {
    return this.stopping.signal;
  }

  /** @param {string} text */
  show(text) {
    element("work-text").textContent = text;
  }

  /** @param {number} done */
  step(done) {
    this.bar.value = done;
  }

  end() {
    element("work").hidden = true;
  }
}
