// @ts-check
/// <reference lib="webworker" />
/**
 * The service worker. It keeps the files of this one version, whose addresses never mean anything else, and one page
 * that says that one is offline. It never keeps a page of the shop, nor an answer of its API: what people see of
 * prices and stock comes from the server, or not at all.
 */
const worker = /** @type {any} */ (self);
const FILES = "/static/{{version}}/";
const OFFLINE = "/offline";
const CACHE = "dropcast-{{version}}-{{offline}}";

worker.addEventListener("install", (/** @type {any} */ event) => event.waitUntil(prepare()));
worker.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(takeOver()));
worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate") event.respondWith(pageOrOffline(event));
  else if (url.pathname.startsWith(FILES)) event.respondWith(fileOf(request));
});

/** Keeps the offline page, in the reader's language, and the files it needs. */
async function prepare() {
  const cache = await caches.open(CACHE);
  const page = await fetch(OFFLINE, { cache: "no-cache" });
  if (!page.ok) throw new Error(`${OFFLINE} answered ${page.status}`);
  const text = await page.clone().text();
  await cache.put(OFFLINE, page);
  const needed = new Set(text.match(/(?<=")\/static\/[^"]+\.(js|css|svg)(?=")/g)); // `addAll` takes none twice
  await cache.addAll([...needed]);
  await worker.skipWaiting(); // nothing an older page needs is kept by the older worker alone
}

/** Drops what older versions kept. */
async function takeOver() {
  for (const name of await caches.keys()) {
    if (name.startsWith("dropcast-") && name !== CACHE) await caches.delete(name);
  }
  await worker.registration.navigationPreload?.enable();
  await worker.clients.claim();
}

/** @param {any} event a navigation: the network's answer, whatever it is; without one, the page that says so */
async function pageOrOffline(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    const cache = await caches.open(CACHE);
    return (await cache.match(OFFLINE)) ?? Response.error();
  }
}

/** @param {Request} request a file of this version: as it was kept, else from the network, and kept */
async function fileOf(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request);
  if (kept) return kept;
  const answer = await fetch(request);
  // a replica of another version hands out its own file, and says that it may not be kept
  if (answer.status === 200 && answer.headers.get("Cache-Control")?.includes("immutable")) {
    await cache.put(request, answer.clone());
  }
  return answer;
}
