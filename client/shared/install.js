// @ts-check
/** Registers the service worker, once the page itself has all it needs. Pages over plain HTTP have none. */
function register() {
  // the browser may refuse (private windows, storage that is full): the shop is the same without it
  navigator.serviceWorker?.register("/sw.js").catch(() => {});
}

if (document.readyState === "complete") register();
else addEventListener("load", register);
