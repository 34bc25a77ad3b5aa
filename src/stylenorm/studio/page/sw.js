// Keeps the page for the next visit, online or not, and lets plain web hosts have threads: their answers get the
// two headers without which browsers share no memory. What is painted never comes by here.

const CACHE = "stylenorm-studio-@VERSION@";
/** @type {string[]} */
const FIRST = /** @type {any} */ ("@FILES@");
const worker = /** @type {any} */ (self);

worker.addEventListener("install", (/** @type {any} */ event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FIRST)).then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (/** @type {any} */ event) => {
  event.waitUntil(dropOthers().then(() => worker.clients.claim()));
});

async function dropOthers() {
  const names = (await caches.keys()).filter((name) => name.startsWith("stylenorm-studio-") && name !== CACHE);
  await Promise.all(names.map((name) => caches.delete(name)));
}

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const { method, url, mode } = event.request;
  const { scope } = worker.registration;
  const path = url.slice(scope.length);
  if (method !== "GET" || !url.startsWith(scope) || path.startsWith("api/")) return;
  event.respondWith(answered(event.request, mode === "navigate" ? "./" : url));
});

/**
 * What the host has now, so that all files are of one version; without it, what was kept.
 * @param {Request} request
 * @param {string} key
 */
async function answered(request, key) {
  const cache = await caches.open(CACHE);
  let answer;
  try {
    answer = await fetch(request);
  } catch {
    return withHeaders((await cache.match(key, { ignoreVary: true })) ?? Response.error());
  }
  const isNew = answer.ok && answer.type === "basic" && !(await cache.match(key, { ignoreVary: true }));
  if (isNew) await cache.put(key, answer.clone());
  return withHeaders(answer);
}

/** @param {Response} answer */
function withHeaders(answer) {
  if (answer.type === "error" || answer.type === "opaqueredirect") return answer;
  const headers = new Headers(answer.headers);
  headers.delete("Content-Encoding"); // the body is decoded already
  headers.delete("Content-Length");
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}
