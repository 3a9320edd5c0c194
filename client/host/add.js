// @ts-check
/** Adding a drop: find a product, say price, limit and units, put it on the run sheet. */
import { get, post } from "../shared/api.js";
import { byId, make, picture, say } from "../shared/dom.js";
import { count, money } from "../shared/format.js";
import { majorText, parseCount, parsePrice } from "../shared/price.js";
import { run } from "./commands.js";

/**
 * @typedef {{id: string, sku: string, title: string, image: string | null, price: number, currency: string,
 *   variants: {id: string, sku: string, label: string, stock: number}[]}} Product
 */

const PAUSE_MS = 250;
/** Units offered to begin with, so that one tap never puts a whole store on sale. */
const FIRST_UNITS = 10;

/** @type {Product | null} */
let product = null;
let asked = 0;
/** @type {any} */
let pause;

/**
 * Wires the section up.
 * @param {() => string} slug the stream that is being shown
 */
export function wireAdding(slug) {
  byId("product-search").addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(search, PAUSE_MS);
  });
  byId("add-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    add(slug());
  });
}

/** Forgets what was being added: the host turned to another stream. */
export function clearAdding() {
  product = null;
  byId("add-form").hidden = true;
  byId("product-search").value = "";
  byId("results").replaceChildren();
  say(byId("search-note"), "");
}

async function search() {
  const words = byId("product-search").value.trim();
  const mine = ++asked; // an answer that was overtaken is thrown away
  const [results, note] = [byId("results"), byId("search-note")];
  if (!words) {
    results.replaceChildren();
    return say(note, "");
  }
  try {
    /** @type {{products: Product[]}} */
    const { products } = await get(`/api/products?q=${encodeURIComponent(words)}`);
    if (mine !== asked) return;
    results.replaceChildren(...products.slice(0, 8).map(result));
    say(note, products.length ? "" : "No product matches.");
    const exact = products.find((one) => one.sku.toLowerCase() === words.toLowerCase());
    const only = exact ?? (products.length === 1 ? products[0] : undefined);
    if (only) choose(only);
  } catch (error) {
    if (mine === asked) say(note, /** @type {Error} */ (error).message);
  }
}

/** @param {Product} one */
function result(one) {
  const image = make("img", { alt: "", width: 40, height: 40 });
  picture(image, one.image);
  const words = make("span", {}, one.title, make("br"), make("small", { className: "soft" }, one.sku));
  const button = make("button", { type: "button", "data-testid": "product-result", "data-sku": one.sku },
    image, words, money(one.price, one.currency));
  button.addEventListener("click", () => {
    choose(one);
    byId("drop-price").focus();
  });
  return make("li", {}, button);
}

/** @param {Product} one */
function choose(one) {
  product = one;
  byId("results").replaceChildren();
  byId("add-form").hidden = false;
  picture(byId("picked-image"), one.image);
  say(byId("picked-title"), one.title);
  say(byId("picked-sku"), one.sku);
  say(byId("price-label"), `Price in ${one.currency}`);
  byId("drop-price").value = majorText(one.price, one.currency);
  byId("drop-limit").value = "1";
  say(byId("add-error"), "");
  const box = byId("quantities");
  box.querySelectorAll("label").forEach((/** @type {Element} */ old) => old.remove());
  for (const { id, label, stock } of one.variants) {
    const value = String(Math.min(stock, FIRST_UNITS));
    const input = make("input", {
      className: "field short", inputMode: "numeric", autocomplete: "off", value,
      "data-testid": "drop-quantity", "data-variant": id,
    });
    box.append(make("label", {}, one.variants.length > 1 ? label : "Units", input,
      make("small", { className: "soft" }, `${count(stock)} in store`)));
  }
}

/**
 * What the form says as the call's body, or what is wrong with it.
 * @param {Product} one
 * @param {string} priceText
 * @param {string} limitText
 * @param {{variant: string, text: string}[]} units
 * @returns {{body: object} | {error: string}}
 */
export function dropBody(one, priceText, limitText, units) {
  const price = parsePrice(priceText, one.currency);
  if ("error" in price) return price;
  const limit = parseCount(limitText);
  if (limit === null) return { error: "The limit per viewer must be a whole number, 1 or more." };
  const stock = [];
  for (const { variant, text } of units) {
    const quantity = text.trim() === "" ? 0 : parseCount(text, 0);
    if (quantity === null) return { error: "Units must be whole numbers." };
    if (quantity > 0) stock.push({ variant, quantity });
  }
  if (!stock.length) return { error: "Say how many units to sell." };
  return { body: { product: one.id, price: price.minor, currency: one.currency, stock, limit } };
}

/** @param {string} slug */
async function add(slug) {
  const one = product;
  if (!one) return;
  const problem = byId("add-error");
  const inputs = [...byId("quantities").querySelectorAll("input")];
  const units = inputs.map((input) => ({ variant: input.dataset.variant, text: input.value }));
  const made = dropBody(one, byId("drop-price").value, byId("drop-limit").value, units);
  if ("error" in made) return say(problem, made.error);
  const path = `/api/host/streams/${encodeURIComponent(slug)}/drops`;
  const answer = await run(byId("add-drop"), problem, "Adding…", () => post(path, made.body));
  if (!answer) return;
  clearAdding();
  say(byId("status"), `${one.title} is on the run sheet.`);
  byId("product-search").focus();
}
