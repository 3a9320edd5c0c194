// @ts-check
/** The overlay's elements, made once. Nothing here parses HTML, so a strict page may embed it. */
import { make } from "../shared/dom.js";
import { t } from "../shared/texts.js";

const SVG = "http://www.w3.org/2000/svg";
const EYE = "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z";
const WAVES = "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM6 6a8.5 8.5 0 0 0 0 12M18 6a8.5 8.5 0 0 1 0 12";

/** @param {string} id @param {string} [className] @param {string} [tag] */
const empty = (id, className = "", tag = "p") => make(tag, { id, className });

/** @param {string} id @param {string} className @param {string} [text] */
function button(id, className, text = "") {
  return make("button", { id, className, type: "button" }, text);
}

/** @param {string} path */
function icon(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "path"));
  svg.firstElementChild?.setAttribute("d", path);
  return svg;
}

/** Everything over the video, in the order it is read. @returns {HTMLElement[]} */
export function frame() {
  return [bar(), make("div", { id: "dock", className: "dock" }, notice(), card(), quiet(), tabs()), behind(), sheet(), status()];
}

function bar() {
  const hidden = { hidden: true };
  return make("header", { id: "bar", className: "bar" },
    make("slot", { name: "start" }),
    make("span", { id: "live", className: "pill live", ...hidden }, icon(WAVES), empty("live-word", "", "span")),
    make("span", { id: "viewers-pill", className: "pill", ...hidden }, icon(EYE),
      make("span", { id: "viewers", "data-testid": "viewers" }),
      make("span", { className: "sr-only" }, t("overlay.watching"))),
    make("span", { id: "link-state", className: "pill link", "data-testid": "link-state", "data-state": "connecting" }),
    make("slot", { name: "end" }));
}

function tabs() {
  const drops = button("open-drops", "pill tab");
  drops.hidden = true;
  return make("nav", { className: "tabs", "aria-label": t("overlay.drops_and_orders") },
    drops, button("open-orders", "pill tab"), make("slot", { name: "tabs" }));
}

function notice() {
  const box = empty("notice", "notice");
  box.hidden = true;
  return box;
}

function card() {
  const image = make("img", { id: "drop-image", alt: "", width: 88, height: 88, decoding: "async" });
  const price = make("p", { className: "price" },
    make("span", { id: "price" }),
    make("s", { id: "list-price", className: "list-price" }),
    empty("saving", "saving", "span"),
    make("span", { id: "limit", className: "limit" }));
  const stock = make("p", { className: "stock" },
    make("span", { id: "stock", className: "stock-words", "data-testid": "stock" }),
    make("span", { id: "pips", className: "pips", "aria-hidden": "true" }),
    // read once, as a time of day: a clock that is read every second is noise
    make("span", { id: "clock", className: "clock", "aria-hidden": "true", "data-testid": "clock" }),
    make("span", { id: "until", className: "sr-only" }));
  const variants = make("fieldset", { id: "variants", className: "variants" },
    make("legend", { className: "sr-only" }, t("card.choose_variant")));
  const quantity = make("div", { id: "quantity", className: "quantity", role: "group", "aria-label": t("card.quantity") },
    make("button", { id: "less", type: "button", "aria-label": t("card.one_less") }, "−"),
    make("span", { id: "amount", className: "amount" }, "1"),
    make("button", { id: "more", type: "button", "aria-label": t("card.one_more") }, "+"));
  const buy = make("button", { id: "buy", className: "buy", type: "button", "data-testid": "buy" });
  const back = make("button", { id: "back", className: "back", type: "button", "data-testid": "back", hidden: true });
  return make("section", {
    id: "card", className: "card", "data-testid": "drop-card", "aria-labelledby": "drop-title", hidden: true,
  },
    make("div", { className: "offer" },
      make("div", { className: "thumb" }, image),
      make("div", { className: "facts" }, empty("drop-title", "drop-title", "h2"), price, stock)),
    variants,
    make("div", { className: "foot" },
      make("p", { id: "message", className: "message", "data-testid": "receipt" }),
      make("div", { className: "actions" }, quantity, back, buy)));
}

function quiet() {
  return make("section", { id: "quiet", className: "card quiet" },
    empty("quiet-title", "quiet-title"), empty("quiet-note", "quiet-note"), make("slot", { name: "quiet" }));
}

/** Between the open sheet and the rest. */
function behind() {
  return make("div", { id: "behind", className: "behind", hidden: true });
}

function sheet() {
  return make("section", { id: "sheet", className: "sheet", role: "dialog", "aria-labelledby": "sheet-title", hidden: true },
    make("header", { className: "sheet-head" },
      make("h2", { id: "sheet-title", tabIndex: -1 }), button("close-sheet", "close", t("overlay.close"))),
    empty("sheet-list", "sheet-list", "ul"),
    make("p", { id: "sheet-note", className: "sheet-note" }));
}

function status() {
  return make("div", { id: "status", className: "sr-only", role: "status", "aria-live": "polite" });
}
