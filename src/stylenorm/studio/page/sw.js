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
  const path = new URL(url).pathname.slice(new URL(worker.registration.scope).pathname.length);
  if (method !== "GET" || !url.startsWith(worker.registration.scope) || path.startsWith("api/")) return;
  event.respondWith(mode === "navigate" ? newest(event.request) : kept(event.request));
});

/** @param {Request} request */
async function newest(request) {
  try {
    return await put(await fetch(request), "./");
  } catch {
    return withHeaders((await caches.match("./")) ?? Response.error());
  }
}

/** @param {Request} request */
async function kept(request) {
  const found = await caches.match(request, { ignoreVary: true });
  return found ? withHeaders(found) : put(await fetch(request), request);
}

/**
 * @param {Response} answer
 * @param {RequestInfo} key
 */
async function put(answer, key) {
  if (answer.ok && answer.type === "basic") await (await caches.open(CACHE)).put(key, answer.clone());
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
