// @ts-check
/** The shop: the catalogue, searched as one types. The query stands in the address, so that a reload and Back keep it. */
import { get } from "../shared/api.js";
import { byId, make, picture, say } from "../shared/dom.js";
import { money } from "../shared/format.js";
import { pagesOf, PagedList } from "../shared/pages.js";
import { t } from "../shared/texts.js";
import { soldLive } from "./selling.js";
import "./top.js";

/**
 * @typedef {{id: string, title: string, image: string | null, price: number, currency: string,
 *   variants: {stock: number}[]}} Product
 */

/** From the last key to the question: shorter than a pause between words, longer than one between keys. */
const TYPING_MS = 120;
/** How long the number of finds must stand before it is read out. */
const CALM_MS = 800;

const [field, goods, found] = ["q", "goods", "found"].map(byId);
const live = soldLive();

/** @param {Product} product */
function tile(product) {
  const img = make("img", { alt: "", width: 300, height: 300, loading: "lazy", decoding: "async" });
  picture(img, product.image);
  const soldOut = product.variants.every(({ stock }) => stock <= 0);
  const state = make("p", { className: "good-state" }, soldOut ? make("span", { className: "badge" }, t("shop.sold_out")) : null);
  const item = make("li", { className: "good", tabIndex: -1, "data-product": product.id },
    make("div", { className: "good-picture" }, img),
    make("h2", { className: "good-title" }, product.title),
    make("p", { className: "good-price" }, money(product.price, product.currency)), state);
  live.then((sold) => {
    const now = sold.get(product.id);
    if (!now) return;
    const price = money(now.drop.price, now.drop.currency);
    const place = `/s/${encodeURIComponent(now.slug)}`;
    state.replaceChildren(make("a", { className: "badge is-live", href: place, "aria-label": t("shop.live_for", { title: product.title, price }) },
      t("shop.live", { price })));
  });
  return item;
}

const results = new PagedList({
  list: goods,
  more: byId("more"),
  note: byId("note"),
  empty: byId("empty"),
  ask: (cursor, wanted) => pagesOf(get, "/api/products", "products", asked ? { q: asked } : {})(cursor, wanted),
  tile,
  told: (shown, next) => {
    say(byId("empty-title"), asked ? t("shop.nothing_for", { q: asked }) : t("shop.nothing"));
    announce(shown === 0 ? "" : next ? t("shop.found_first", { n: shown }) : t("shop.found", { n: shown }));
  },
});

let asked = "";
let typing = 0;
let calm = 0;

/** @param {string} words seen at once, read out when they have stood for a moment */
function announce(words) {
  clearTimeout(calm);
  calm = setTimeout(() => say(found, words), CALM_MS);
}

function search() {
  clearTimeout(typing);
  asked = field.value.trim();
  const address = asked ? `/shop?q=${encodeURIComponent(asked)}` : "/shop";
  if (location.pathname + location.search !== address) history.replaceState(null, "", address);
  return results.restart();
}

field.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(search, TYPING_MS);
});
byId("search").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  search();
  field.blur(); // the keyboard of a phone makes room for what was found
});

field.value = new URLSearchParams(location.search).get("q")?.slice(0, field.maxLength) ?? "";
search();
