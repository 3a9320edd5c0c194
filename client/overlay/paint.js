// @ts-check
/**
 * Puts what `card.js` decided into the overlay's elements. Only what differs is touched.
 *
 * @typedef {(id: string) => any} Find an element of the overlay by its id
 * @typedef {(path: string | null) => string | null} Resolve the address of a picture of the shop
 */
import { make, mark, picture, say } from "../shared/dom.js";
import { count, money, saving, when } from "../shared/format.js";
import { t } from "../shared/texts.js";

/** Units the meter can show one by one; more than that is simply "plenty". */
const PIPS = 10;

/**
 * The top bar.
 * @param {Find} $
 * @param {import("../shared/reduce.js").Stream | null} stream null before the first welcome
 * @param {string} link
 */
export function paintBar($, stream, link) {
  const badge = $("link-state");
  mark(badge, "data-state", link);
  say(badge, t(`link.${link}`));
  $("live").hidden = !stream;
  // Nobody has counted yet when it is 0 (we ourselves are watching), and an old count says nothing.
  $("viewers-pill").hidden = !stream || stream.viewers < 1 || link !== "live";
  if (!stream) return;
  mark($("live"), "data-status", stream.status);
  say($("live-word"), t(`status.${stream.status}`));
  say($("viewers"), count(stream.viewers));
}

/** What stands in the card's place. @param {Find} $ @param {[string, string]} words */
export function paintQuiet($, [title, note]) {
  say($("quiet-title"), title);
  say($("quiet-note"), note);
}

/**
 * Why there is no drop to show, as a title and a sentence.
 * @param {import("../shared/reduce.js").Stream | null} stream null before the first welcome
 * @param {string} link
 * @param {number | null} code why the link is over
 * @returns {[string, string]}
 */
export function quietWords(stream, link, code) {
  if (code === 4504) return [t("quiet.unknown"), t("quiet.unknown_note")];
  if (code === 4503 || stream?.status === "ended") return [t("quiet.ended"), t("quiet.ended_note")];
  if (code === 4501) return [t("quiet.not_allowed"), t("quiet.not_allowed_note")];
  if (link === "over") return [t("quiet.over"), t("quiet.over_note")];
  if (!stream) return link === "waiting" ? [t("quiet.unreachable"), t("quiet.unreachable_note")] : [t("link.connecting"), ""];
  if (link !== "live") return [t("quiet.lost"), t("quiet.lost_note")];
  if (stream.status === "scheduled") {
    return [t("quiet.scheduled"), stream.starts_at ? t("quiet.starts_at", { time: when(stream.starts_at) }) : t("quiet.soon")];
  }
  return [t("quiet.no_drop"), t("quiet.no_drop_note")];
}

/**
 * The pinned card.
 * @param {Find} $
 * @param {import("./card.js").Drop} drop
 * @param {import("./card.js").Card} card
 * @param {{variant: string, quantity: number}} choice
 * @param {{waiting: boolean, resolve: Resolve}} how whether Buy waits a moment: a tap meant for what was there before
 */
export function paintCard($, drop, card, choice, { waiting, resolve }) {
  const root = $("card");
  mark(root, "data-drop", drop.id);
  mark(root, "data-phase", card.phase);
  picture($("drop-image"), resolve(drop.image));
  say($("drop-title"), drop.title);
  paintPrice($, drop);
  const stock = $("stock");
  mark(stock, "data-left", card.left === null ? null : String(card.left));
  say(stock, card.stock);
  paintPips($("pips"), card.phase === "open" ? card.left : null);
  say($("clock"), card.clock ?? "");
  const closes = card.phase === "open" && drop.closes_at !== null;
  say($("until"), closes ? t("card.closes_at", { time: when(/** @type {number} */ (drop.closes_at)) }) : "");
  // A closed drop gave its stock back: its variants are not "sold out", there is nothing to choose.
  paintVariants($("variants"), drop, choice.variant, card.locked, card.phase === "closed");
  const message = $("message");
  mark(message, "data-tone", card.tone);
  say(message, card.message);
  $("quantity").hidden = drop.limit < 2 || card.phase !== "open" || card.back !== null;
  say($("amount"), String(choice.quantity));
  // aria-disabled instead of disabled: the focus stays where the viewer put it.
  mark($("less"), "aria-disabled", card.locked || choice.quantity <= 1 ? "true" : null);
  mark($("more"), "aria-disabled", card.locked || choice.quantity >= card.most ? "true" : null);
  $("back").hidden = card.back === null;
  say($("back"), card.back ?? "");
  const buy = $("buy");
  mark(buy, "aria-disabled", card.button.action && !waiting ? null : "true");
  mark(buy, "data-tone", card.button.tone);
  mark(buy, "data-action", card.button.action);
  say(buy, card.button.label);
}

/** @param {Find} $ @param {import("./card.js").Drop} drop */
function paintPrice($, drop) {
  const saved = saving(drop.price, drop.list_price);
  say($("price"), money(drop.price, drop.currency));
  $("list-price").hidden = $("saving").hidden = saved === null;
  say($("list-price"), saved === null ? "" : money(drop.list_price ?? 0, drop.currency));
  say($("saving"), saved ?? "");
  say($("limit"), t("card.limit", { n: drop.limit }));
}

/** @param {any} pips @param {number | null} left */
function paintPips(pips, left) {
  pips.hidden = left === null;
  while (pips.children.length < PIPS) pips.append(make("i"));
  const lit = Math.min(left ?? 0, PIPS);
  [...pips.children].forEach((pip, place) => pip.classList.toggle("lit", place < lit));
  pips.classList.toggle("few", left !== null && left <= PIPS);
}

/** @param {any} box @param {import("./card.js").Drop} drop @param {string} chosen @param {boolean} locked @param {boolean} over */
function paintVariants(box, drop, chosen, locked, over) {
  box.hidden = over || drop.variants.length < 2;
  if (box.hidden) return;
  const shown = `${drop.id} ${drop.variants.map((variant) => variant.id).join(" ")}`;
  if (box.dataset.shown !== shown) {
    box.dataset.shown = shown;
    box.querySelectorAll("label").forEach((/** @type {Element} */ old) => old.remove());
    for (const { id, label } of drop.variants) {
      const input = make("input", { type: "radio", name: "variant", value: id });
      box.append(make("label", {}, input, make("span", {}, label, make("small"))));
    }
  }
  box.querySelectorAll("label").forEach((/** @type {any} */ label, /** @type {number} */ place) => {
    const variant = drop.variants[place];
    if (!variant) return;
    const input = label.querySelector("input");
    input.checked = variant.id === chosen;
    input.disabled = locked && variant.id !== chosen;
    label.classList.toggle("gone", variant.left === 0);
    say(label.querySelector("small"), variant.left === 0 ? t("card.sold_out") : "");
  });
}
