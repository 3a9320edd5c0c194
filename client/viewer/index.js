// @ts-check
/** The front page: streams that are live, those to come, and, for who scrolls that far, those of the past. */
import { get } from "../shared/api.js";
import { byId, make, mark, picture } from "../shared/dom.js";
import { money, when } from "../shared/format.js";
import { day, fromNow } from "../shared/moments.js";
import { pagesOf, PagedList } from "../shared/pages.js";
import { t } from "../shared/texts.js";
import { ASKED_MAX, onSale, whole } from "./selling.js";
import "./top.js";

/** @typedef {import("../shared/reduce.js").Stream} Stream */

const HUES = 5;
/** Who comes back to a page left open this long sees how things are now. */
const FRESH_FOR_MS = 20_000;

/** @param {Stream} stream */
const placeOf = (stream) => `/s/${encodeURIComponent(stream.slug)}`;

/** @param {Stream} stream */
function stage(stream) {
  const badges = make("p", { className: "stage-badges" }, make("span", { className: "badge is-live" }, t("index.live_badge")),
    stream.viewers > 0 ? make("span", { className: "badge is-dark" }, t("index.watching", { n: stream.viewers })) : null);
  const offer = make("span", { className: "offer", hidden: true });
  return make("a", { className: `stage hue-${hueOf(stream.slug)}`, href: placeOf(stream), "data-stream": stream.slug },
    badges,
    make("h3", { className: "stage-title" }, stream.title),
    make("p", { className: "stage-host" }, t("index.with", { host: stream.host })),
    offer);
}

/** The same stream has the same colours each time. @param {string} slug */
function hueOf(slug) {
  return [...slug].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9973, 7) % HUES;
}

/** @param {any} tile a stage; says what is sold there now */
async function tellOffer(tile) {
  const found = await whole(tile.dataset.stream);
  const drop = found && onSale(found);
  const offer = tile.querySelector(".offer");
  offer.hidden = !drop;
  if (!drop) return;
  const img = make("img", { alt: "", width: 56, height: 56, decoding: "async" });
  picture(img, drop.image);
  offer.replaceChildren(img, make("span", { className: "offer-words" },
    make("span", { className: "offer-now" }, t("index.on_sale")),
    make("span", { className: "offer-title" }, drop.title)),
    make("strong", { className: "offer-price" }, money(drop.price, drop.currency)));
}

/** @param {Stream} stream */
function comingTile(stream) {
  const at = stream.starts_at;
  const time = at === null ? make("p", { className: "tile-note" }, t("index.no_time"))
    : make("p", { className: "tile-note" }, make("time", { dateTime: new Date(at).toISOString() }, when(at)), ` · ${fromNow(at)}`);
  const calendar = at === null ? null
    : make("a", { className: "plain", href: `/api/streams/${encodeURIComponent(stream.slug)}/calendar`,
        "aria-label": t("index.calendar_for", { title: stream.title }) }, t("index.calendar"));
  return make("li", { className: "tile" }, make("div", { className: "tile-main" },
    make("a", { className: "tile-title", href: placeOf(stream) }, stream.title),
    make("p", { className: "tile-note" }, t("index.with", { host: stream.host })),
    time), calendar);
}

/** @param {Stream} stream */
function pastTile(stream) {
  const words = [t("index.with", { host: stream.host }), stream.starts_at ? day(stream.starts_at) : ""];
  return make("li", { className: "tile" }, make("div", { className: "tile-main" },
    make("a", { className: "tile-title", href: placeOf(stream) }, stream.title),
    make("p", { className: "tile-note" }, words.filter(Boolean).join(" · "))));
}

/** @param {string} name of a part of the page and @param {string} status of its streams @param {object} more */
function listOf(name, status, more) {
  const [list, button, note] = [byId(name), byId(`${name}-more`), byId(`${name}-note`)];
  return new PagedList({
    list, note, more: button, ask: pagesOf(get, "/api/streams", "streams", { status }), tile: comingTile, ...more,
  });
}

const live = listOf("live", "live", {
  empty: byId("live-empty"),
  tile: stage,
  told: (/** @type {number} */ shown) => {
    mark(byId("live"), "data-count", String(Math.min(shown, 2)));
    for (const tile of [...byId("live").children].slice(0, ASKED_MAX)) tellOffer(tile);
  },
});
const comingPages = pagesOf(get, "/api/streams", "streams", { status: "scheduled" });
const coming = listOf("coming", "scheduled", {
  ask: async (/** @type {string | null} */ cursor, /** @type {AbortSignal} */ wanted) => {
    const { items, next } = await comingPages(cursor, wanted);
    return { items: items.sort((a, b) => (a.starts_at ?? Infinity) - (b.starts_at ?? Infinity)), next };
  },
  told: (/** @type {number} */ shown) => (byId("coming-part").hidden = shown === 0),
});
const past = listOf("past", "ended", {
  tile: pastTile,
  told: (/** @type {number} */ shown) => (byId("past-part").hidden = shown === 0),
});

let loadedAt = 0;
function load() {
  loadedAt = Date.now();
  return Promise.all([live.restart(), coming.restart()]);
}
load().finally(() => {
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    past.restart();
  }, { rootMargin: "200px" });
  seen.observe(byId("past-part"));
});
addEventListener("pageshow", (/** @type {PageTransitionEvent} */ event) => event.persisted && load());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && Date.now() - loadedAt > FRESH_FOR_MS) load();
});
