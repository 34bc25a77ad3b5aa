// Undo and redo of values that are never changed, only replaced.

/** @template T */
export class History {
  /** @param {T} first */
  constructor(first) {
    /** @type {T[]} */
    this.values = [first];
    this.at = 0;
  }

  get now() {
    return this.values[this.at];
  }

  get canUndo() {
    return this.at > 0;
  }

  get canRedo() {
    return this.at < this.values.length - 1;
  }

  /** @param {T} value */
  push(value) {
    if (JSON.stringify(value) === JSON.stringify(this.now)) return;
    this.values.splice(this.at + 1, Infinity, value);
    this.at++;
  }

  undo() {
    if (this.canUndo) this.at--;
    return this.now;
  }

  redo() {
    if (this.canRedo) this.at++;
    return this.now;
  }
}
