// The page: what people do, and what happens then.

import { Camera } from "./camera.js";
import { button, element, input, make, say, the, tell, untell } from "./dom.js";
import { History } from "./history.js";
import { Library } from "./library.js";
import { Panel } from "./panel.js";
import { BrowserPainter, NativePainter } from "./painters.js";
import { droppedFiles, openPhoto } from "./pictures.js";
import { Saver } from "./saving.js";
import { Stage } from "./stage.js";
import { Turns } from "./turns.js";
import { Wall } from "./wall.js";

const ON_SCREEN_PX = 1024; // strokes are as wide as they would be on a painting of so many pixels
const FAN = ["great-wave", "van-gogh", "starry-night", "tahiti", "grande-jatte"];
const PRESET_KEY = "stylenorm-preset";
const TOKEN_KEY = "stylenorm-token";
const RELOADED_KEY = "stylenorm-reloaded";
const SERVED_REST_MS = 8000;

/** @typedef {import("./library.js").Settings} Settings */
/** @typedef {import("./library.js").Preset} Preset */

const isServed = told("native") === "yes";
const library = new Library();
const turns = new Turns();
const stage = new Stage(library, turns);
/** @type {BrowserPainter} */
let painter = new BrowserPainter();
/** @type {import("./pictures.js").Photo | null} */
let photo = null;
/** @type {History<Settings> | null} */
let history = null;
/** @type {Preset} */
let preset = "live";
/** @type {Settings | null} */
let settings = null;
/** @type {File[]} */
let others = []; // photos that were dropped with this one

const wall = new Wall(library, turns, (key) => choose(key));
const panel = new Panel(library, change);
const camera = new Camera(stage, library, turns);
const ready = start().catch(tell);

/**
 * What the server wrote into the page.
 * @param {string} name
 */
function told(name) {
  return document.querySelector(`meta[name="stylenorm-${name}"]`)?.getAttribute("content");
}

/** Find out who paints, and which styles there are. */
async function start() {
  const loading = library.load();
  showFan();
  const token = tokenOfThisRun();
  if (isServed && token) {
    const native = new NativePainter(token);
    try {
      const engine = await native.about();
      painter = native;
      element("engine").textContent = `Painted by this machine (${engine}). Your photo never leaves it.`;
      element("where").textContent = "this machine";
    } catch (error) {
      if (!/program has ended/.test(String(error))) throw error;
    }
  }
  if (!painter.isNative) element("engine").textContent = "Painted in this browser. Your photo never leaves it.";
  stage.painter = painter;
  const kept = localStorage.getItem(PRESET_KEY);
  preset = kept === "live" || kept === "standard" ? kept : painter.isNative ? "standard" : "live";
  await loading;
  document.body.dataset.ready = "";
}

/** The secret is behind the link's #, which browsers never send; it is kept for reloads of this tab. */
function tokenOfThisRun() {
  const found = /^#token=([\w-]+)$/.exec(location.hash);
  if (found) {
    sessionStorage.setItem(TOKEN_KEY, found[1]);
    window.history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(TOKEN_KEY);
}

function showFan() {
  element("fan").replaceChildren(...FAN.map((name) => make("li", {}, [make("img", { src: `./thumbnails/${name}.jpg`, alt: "" })])));
}

/** @param {"start" | "wall" | "large"} view */
function show(view) {
  document.body.dataset.view = view;
  element("start").hidden = view !== "start";
  element("workspace").hidden = view === "start";
  element("stage").hidden = element("panel").hidden = view !== "large";
}

/**
 * Open a photo: the wall of it in all styles.
 * @param {File} file
 */
async function open(file) {
  untell();
  await ready;
  try {
    const decode = painter instanceof NativePainter ? painter.decode.bind(painter) : null;
    const opened = await openPhoto(file, file.name || "pasted.png", painter.maxMegapixels, decode);
    const before = photo;
    photo = opened;
    endCamera();
    before?.bitmap.close();
  } catch (error) {
    tell(error);
    return;
  }
  input("strokes").max = String(Math.max(8, Math.ceil(usualStrokes() * 2)));
  stage.show(photo);
  if (settings && document.body.dataset.view === "large") {
    settings = { ...settings, strokeSize: usualStrokes() };
    begin(settings);
  } else {
    show("wall");
    element("wall-title").focus();
  }
  paintWall();
}

function paintWall() {
  if (photo) wall.paint(photo.bitmap, [photo.width, photo.height], preset, painter).catch(tell);
}

/** Strokes as wide as on the screen, whatever the photo's size. */
function usualStrokes() {
  if (!photo) return 1;
  return Math.max(1, Math.round((10 * Math.max(photo.width, photo.height)) / ON_SCREEN_PX) / 10);
}

/** @param {string} key */
function choose(key) {
  const first = { parts: [{ key, weight: 1 }], strength: 1, keepColors: false, strokeSize: usualStrokes(), preset };
  if (document.body.dataset.view !== "large" || !settings) begin(settings ? { ...settings, parts: first.parts, strokeSize: usualStrokes() } : first);
  else change({ ...settings, parts: first.parts }, false);
}

/**
 * Show the large picture.
 * @param {Settings} first
 */
function begin(first) {
  if (!photo && !camera.isOn) return;
  show("large");
  history = new History(first);
  const format = photo && /\.jpe?g$/i.test(photo.name) ? "jpeg" : "png";
  settings = first;
  panel.show(first, photo?.name ?? "camera.png", format);
  painted(first, false);
  button("back").focus({ preventScroll: true });
  window.scrollTo({ top: 0 });
}

/**
 * Something was changed; while a slider moves, it is not yet something to undo.
 * @param {Settings} changed
 * @param {boolean} moving
 */
function change(changed, moving) {
  if (settings && changed.preset !== settings.preset) keepPreset(changed.preset);
  settings = changed;
  if (!moving) history?.push(changed);
  panel.show(changed, photo?.name ?? "camera.png");
  painted(changed, moving);
}

/** @param {Preset} chosen */
function keepPreset(chosen) {
  preset = chosen;
  localStorage.setItem(PRESET_KEY, chosen);
  paintWall();
}

/**
 * @param {Settings} now
 * @param {boolean} moving
 */
function painted(now, moving) {
  wall.mark(now.parts.map(({ key }) => key));
  if (!moving) wall.reveal(now.parts[0].key);
  button("undo").disabled = !history?.canUndo;
  button("redo").disabled = !history?.canRedo;
  if (!camera.isOn) stage.want(now, moving);
}

/** @param {Settings | undefined} earlier */
function goTo(earlier) {
  if (!earlier) return;
  if (settings && earlier.preset !== settings.preset) keepPreset(earlier.preset);
  settings = earlier;
  panel.show(earlier, photo?.name ?? "camera.png");
  painted(earlier, false);
}

/**
 * A picture or a file becomes a style.
 * @param {File} file
 */
async function addStyle(file) {
  untell();
  try {
    const entry = /\.safetensors$/i.test(file.name) ? await library.addFile(file) : await predicted(file);
    wall.addTile(entry);
    void wall.paintTile(entry, preset, painter).catch(tell);
    choose(entry.key);
  } catch (error) {
    tell(error);
  }
}

/** @param {File} file */
async function predicted(file) {
  const decode = painter instanceof NativePainter ? painter.decode.bind(painter) : null;
  const picture = await openPhoto(file, file.name || "pasted.png", painter.maxMegapixels, decode);
  element("stage-note").textContent = "Taking the style from your picture…";
  try {
    const vector = await turns.take(true, () => painter.predict(picture.bitmap, "standard"));
    return library.addPicture(picture.name, vector);
  } finally {
    picture.bitmap.close();
    element("stage-note").textContent = "";
  }
}

async function startCamera() {
  untell();
  await ready;
  try {
    await camera.start();
  } catch (error) {
    tell(error);
    return;
  }
  document.body.dataset.live = "";
  if (!wall.tiles.size) for (const entry of library.entries.values()) wall.addTile(entry);
  begin(settings ?? { parts: [{ key: "starry-night", weight: 1 }], strength: 1, keepColors: false, strokeSize: 1, preset });
  const shot = await camera.shoot();
  wall.paint(await createImageBitmap(shot), [camera.video.videoWidth, camera.video.videoHeight], "live", painter).catch(tell);
  camera
    .paint(() => /** @type {Settings} */ (settings), (rate) => (element("stage-note").textContent = `${rate.toFixed(0)} frames a second`))
    .catch((error) => { endCamera(); tell(error); });
}

function endCamera() {
  if (!camera.isOn) return;
  camera.stop();
  delete document.body.dataset.live;
  element("stage-note").textContent = "";
  if (!photo) {
    show("start");
    return;
  }
  stage.show(photo);
  if (settings) painted(settings, false);
  paintWall();
}

/** @param {File[]} files */
function take(files) {
  if (!files.length) return;
  const style = files.find((file) => /\.safetensors$/i.test(file.name));
  if (style && photo) {
    if (!settings) choose([...library.entries.keys()][0]);
    void addStyle(style);
    return;
  }
  others = files.length > 1 ? files : [];
  void open(files[0]).then(() => {
    if (others.length > 1) say(`${others.length} photos: choose a style for this one, then “Paint many photos”.`);
  });
}

/** @param {File[]} files */
function paintMany(files) {
  the("many-dialog", HTMLDialogElement).close();
  const pictures = files.filter((file) => !file.name.startsWith(".") && (/^image\//.test(file.type) || /\.(heic|heif|tiff?)$/i.test(file.name)));
  if (!settings || !files.length) return;
  if (!pictures.length) tell("There is no picture among these files: choose JPEG, PNG, WebP or AVIF.");
  else void new Saver(library, turns, painter).saveMany(pictures, settings, panel.format);
}

/**
 * A hidden field that takes files, and the button that opens it.
 * @param {string} field
 * @param {string} opener
 * @param {(files: File[]) => void} onFiles
 */
function files(field, opener, onFiles) {
  const chooser = input(field);
  button(opener).addEventListener("click", () => chooser.click());
  chooser.onchange = () => {
    onFiles([...(chooser.files ?? [])]);
    chooser.value = "";
  };
}

files("photo-file", "choose", take);
files("style-file", "own-style", ([file]) => file && void addStyle(file));
files("many-photos", "many-files", paintMany);
files("folder-photos", "many-folder", paintMany);
button("open-photo").onclick = () => input("photo-file").click();
for (const id of ["choose-camera", "open-camera"]) button(id).onclick = () => void startCamera();
button("end-camera").onclick = endCamera;
button("shoot").onclick = async () => take([await camera.shoot()]);
button("undo").onclick = () => goTo(history?.undo());
button("redo").onclick = () => goTo(history?.redo());
button("notice-close").onclick = untell;
button("save").onclick = () => photo && settings && void new Saver(library, turns, painter).save(photo, settings, panel.format);
button("many").onclick = () => {
  if (others.length > 1) paintMany(others);
  else the("many-dialog", HTMLDialogElement).showModal();
};
button("back").onclick = () => {
  endCamera();
  if (!photo) return;
  show("wall");
  wall.tiles.get(settings?.parts[0].key ?? "")?.button.focus();
};

addEventListener("keydown", (event) => {
  const isField = event.target instanceof HTMLInputElement && event.target.type === "text";
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !isField) {
    event.preventDefault();
    goTo(event.shiftKey ? history?.redo() : history?.undo());
  } else if (event.key === "Escape" && document.body.dataset.view === "large" && !document.querySelector("dialog[open]")) {
    button("back").click();
  }
});
addEventListener("paste", (event) => take([...(event.clipboardData?.files ?? [])]));
let depth = 0; // of elements that something is dragged over
addEventListener("dragenter", (event) => {
  if (event.dataTransfer?.types.includes("Files")) element("veil").hidden = ++depth < 1;
});
addEventListener("dragleave", () => (element("veil").hidden = --depth < 1));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  element("veil").hidden = true;
  if (event.dataTransfer) void droppedFiles(event.dataTransfer).then(take, tell);
});

/** Keep the page for the next time; where the server sends the headers for threads itself, that can wait. */
async function keepPage() {
  if (!("serviceWorker" in navigator) || told("keep") !== "yes") return;
  try {
    await navigator.serviceWorker.register("./sw.js");
    await navigator.serviceWorker.ready;
  } catch {
    return; // not kept, which the page can do without
  }
  // a plain web host sends no headers for threads: the service worker does, from the next load on
  if (!crossOriginIsolated && !photo && !sessionStorage.getItem(RELOADED_KEY)) {
    sessionStorage.setItem(RELOADED_KEY, "yes");
    location.reload();
  }
}

if (isServed) setTimeout(keepPage, SERVED_REST_MS);
else void keepPage();
