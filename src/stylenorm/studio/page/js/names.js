// Styles and files in words: what `stylenorm stylize` understands, and what it would call a painting.

/** @typedef {{text: string, weight: number}} Named a style as the command line writes it, and its weight */

const PICTURE = /\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|avif|heic|heif)$/i;

/**
 * A mixture as the command line has it: `scream:0.6,great-wave:0.4`.
 * @param {Named[]} parts
 */
export function styleText(parts) {
  if (parts.length === 1) return parts[0].text;
  return parts.map((part) => `${part.text}:${shortNumber(part.weight)}`).join(",");
}

/**
 * A painting's name, beside its photo: `photo.scream-0.6+great-wave-0.4.png`.
 * @param {string} photo
 * @param {string} style
 * @param {"png" | "jpeg"} format
 */
export function paintingName(photo, style, format) {
  const dot = photo.lastIndexOf(".");
  const stem = dot > 0 ? photo.slice(0, dot) : photo;
  const own = dot > 0 ? photo.slice(dot) : "";
  const fits = format === "png" ? /^\.png$/i.test(own) : /^\.(jpe?g|jpe|jfif)$/i.test(own);
  return `${stem}.${slug(style)}${fits ? own : format === "png" ? ".png" : ".jpg"}`;
}

/** @param {string} style */
export function slug(style) {
  const name = style.split(",").map((part) => short(part.trim())).join("+");
  return name.replace(/[^\p{L}\p{N}_.+-]+/gu, "-").replace(/^[-.]+|[-.]+$/g, "") || "style";
}

/** @param {string} part */
function short(part) {
  const found = /^(.*):([\d.]+)$/.exec(part);
  const [path, weight] = found ? [found[1], `:${found[2]}`] : [part, ""];
  const name = path.split(/[\\/]/).pop() ?? path;
  const ends = name.endsWith(".safetensors") || PICTURE.test(name);
  return (ends ? name.slice(0, name.lastIndexOf(".")) || name : name) + weight;
}

/**
 * A number as people write it: two places at most, no zeros at the end.
 * @param {number} value
 */
export function shortNumber(value) {
  return String(Math.round(value * 100) / 100);
}

/**
 * @typedef {object} Shown what is on the screen
 * @property {string} photo the photo's file name
 * @property {Named[]} parts
 * @property {number} strength
 * @property {boolean} keepColors
 * @property {number} strokeSize
 * @property {string} preset
 * @property {"png" | "jpeg"} format
 */

/**
 * The command that paints what is on the screen.
 * @param {Shown} shown
 */
export function commandLine(shown) {
  const words = ["stylenorm", "stylize", quoted(shown.photo), "--style", quoted(styleText(shown.parts))];
  if (shown.strength !== 1) words.push("--strength", shortNumber(shown.strength));
  if (shown.keepColors) words.push("--keep-colors");
  if (shown.strokeSize !== 1) words.push("--stroke-size", shortNumber(shown.strokeSize));
  if (shown.preset !== "standard") words.push("--preset", shown.preset);
  words.push("-o", quoted(paintingName(shown.photo, styleText(shown.parts), shown.format)));
  return words.join(" ");
}

/**
 * The same in Python.
 * @param {Shown} shown
 */
export function pythonLines(shown) {
  const text = (/** @type {string} */ value) => JSON.stringify(value);
  const style = styleText(shown.parts);
  const isLive = shown.preset !== "standard";
  const settings = [
    shown.strength !== 1 ? `strength=${shortNumber(shown.strength)}` : "",
    shown.keepColors ? "keep_colors=True" : "",
    shown.strokeSize !== 1 ? `stroke_size=${shortNumber(shown.strokeSize)}` : "",
  ].filter(Boolean);
  return [
    "from PIL import Image",
    "from stylenorm import Stylizer",
    ...(isLive ? ["from stylenorm.films import preset_named"] : []),
    "",
    isLive
      ? `stylizer = Stylizer(${text(style)}, network=preset_named(${text(shown.preset)}).open_network())`
      : `stylizer = Stylizer(${text(style)})`,
    `painting = stylizer(${[`Image.open(${text(shown.photo)})`, ...settings].join(", ")})`,
    `painting.save(${text(paintingName(shown.photo, style, shown.format))})`,
  ].join("\n");
}

/**
 * A word of a POSIX shell.
 * @param {string} word
 */
function quoted(word) {
  const safe = word.startsWith("-") ? `./${word}` : word;
  return /^[\w.,:/+@%=-]+$/.test(safe) ? safe : `'${safe.replaceAll("'", "'\\''")}'`;
}
