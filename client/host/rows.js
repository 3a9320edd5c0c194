// @ts-check
/** The run sheet: one row per drop, with its stock and what the host can do with it now. */
import { byId, make, mark, picture, say } from "../shared/dom.js";
import { count, money } from "../shared/format.js";
import { parseCount } from "../shared/price.js";
import { closeDrop, openDrop, Restocks, run } from "./commands.js";

/** @typedef {import("../shared/reduce.js").Drop} Drop */

/** @type {Record<Drop["status"], string>} */
const WORDS = { scheduled: "Scheduled", open: "Open", sold_out: "Sold out", closed: "Closed" };
const restocks = new Restocks();

/** Shows the drops as they are now; rows stay where they are, with what the host is typing. @param {Drop[]} drops */
export function paintRows(drops) {
  const list = byId("rows");
  byId("no-drops").hidden = drops.length > 0;
  const known = new Set(drops.map((drop) => drop.id));
  for (const row of [...list.children]) if (!known.has(row.dataset.drop)) row.remove();
  for (const drop of drops) {
    const row = list.querySelector(`[data-drop="${CSS.escape(drop.id)}"]`) ?? list.appendChild(newRow(drop));
    paintRow(row, drop);
  }
}

/** @param {Drop} drop */
function newRow(drop) {
  const problem = make("p", { className: "error", role: "alert" });
  const opener = make("button", { type: "button", className: "main open", "data-testid": "open-drop" }, "Open");
  opener.addEventListener("click", () => run(opener, problem, "Opening…", () => openDrop(drop.id)));
  const closer = make("button", { type: "button", className: "second close", "data-testid": "close-drop" }, "Close");
  closer.addEventListener("click", () => run(closer, problem, "Closing…", () => closeDrop(drop.id)));
  const facts = make("div", {},
    make("h3", {}, drop.title),
    make("p", {}, make("span", { className: "badge" }), " ", make("span", { className: "soft terms" })),
    make("ul", { className: "stocks" }));
  const image = make("img", { alt: "", width: 72, height: 72 });
  const acts = make("div", { className: "acts" }, restockForm(drop, problem), opener, closer);
  return make("li", { className: "drop", "data-testid": "drop-row", "data-drop": drop.id },
    image, facts, acts, problem);
}

/** @param {Drop} drop @param {Element} problem */
function restockForm(drop, problem) {
  const options = drop.variants.map(({ id, label }) => make("option", { value: id }, label));
  const variant = make("select", { className: "field", "data-testid": "restock-variant" }, ...options);
  const units = make("input", {
    className: "field", inputMode: "numeric", autocomplete: "off", value: "1", "data-testid": "restock-quantity",
  });
  const button = make("button", { type: "submit", className: "again", "data-testid": "restock-drop" }, "Restock");
  const form = make("form", { className: "restock", noValidate: true },
    make("label", { hidden: drop.variants.length < 2 }, "Variant", variant),
    make("label", {}, "Units to add", units),
    button);
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const quantity = parseCount(units.value);
    if (quantity === null) return say(problem, "Units to add must be a whole number, 1 or more.");
    return run(button, problem, "Adding…", () => restocks.add(drop.id, variant.value, quantity));
  });
  return form;
}

/** @param {any} row @param {Drop} drop */
function paintRow(row, drop) {
  const { status } = drop;
  mark(row, "data-status", status);
  picture(row.querySelector("img"), drop.image);
  const badge = row.querySelector(".badge");
  mark(badge, "data-status", status);
  say(badge, WORDS[status] ?? status);
  say(row.querySelector(".terms"), `${money(drop.price, drop.currency)} · ${count(drop.limit)} per viewer`);
  row.querySelector(".open").hidden = status !== "scheduled";
  row.querySelector(".close").hidden = status !== "open" && status !== "sold_out";
  row.querySelector(".restock").hidden = status !== "open" && status !== "sold_out";
  // One clear primary action per row: open it, then (sold out) fill it again.
  row.querySelector(".again").classList.toggle("main", status === "sold_out");
  row.querySelector(".again").classList.toggle("second", status !== "sold_out");
  const stocks = row.querySelector(".stocks");
  stocks.hidden = status === "closed"; // its stock went back to the store; "0 left" would read as sold out
  while (stocks.children.length < drop.variants.length) {
    const words = [make("span", { className: "tag" }), make("b"), make("span", { className: "soft" }, "left")];
    stocks.append(make("li", {}, ...words));
  }
  drop.variants.forEach(({ label, left }, place) => {
    const item = stocks.children[place];
    mark(item, "data-left", String(left));
    item.children[0].hidden = drop.variants.length < 2;
    say(item.children[0], label);
    say(item.children[1], count(left));
  });
}
