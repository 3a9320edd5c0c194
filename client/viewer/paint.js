// @ts-check
/** Puts what `card.js` decided onto the page. Only what differs is touched. */
import { byId, make, mark, picture, say } from "../shared/dom.js";
import { count, money, when } from "../shared/format.js";
import { phaseOf, stockWords } from "./card.js";

/** Units the meter can show one by one; more than that is simply "plenty". */
const PIPS = 10;

/** @type {Record<import("../shared/link.js").LinkState, string>} */
const LINK_WORDS = { connecting: "Connecting…", waiting: "Reconnecting…", live: "Connected", over: "Disconnected" };

/**
 * The top bar and the slate.
 * @param {import("../shared/reduce.js").Stream} stream
 * @param {import("../shared/link.js").LinkState} link
 * @param {boolean} videoFailed
 */
export function paintBar(stream, link, videoFailed) {
  document.title = `${stream.title} · Dropcast`;
  say(byId("title"), stream.title);
  say(byId("slate-title"), stream.title);
  say(byId("slate-host"), `with ${stream.host}`);
  say(byId("slate-mark"), [...stream.host][0]?.toUpperCase() ?? "");
  say(byId("slate-note"), slateNote(stream, videoFailed));
  byId("live").hidden = false;
  byId("live").dataset.status = stream.status;
  say(byId("live-word"), { live: "LIVE", scheduled: "SOON", ended: "ENDED" }[stream.status]);
  // Nobody has counted yet when it is 0 (we ourselves are watching), and an old count says nothing.
  byId("viewers-pill").hidden = stream.viewers < 1 || link !== "live";
  say(byId("viewers"), count(stream.viewers));
  paintLink(link);
}

/** The badge of the link, always a word. @param {import("../shared/link.js").LinkState} link */
export function paintLink(link) {
  const badge = byId("link-state");
  mark(badge, "data-state", link);
  say(badge, LINK_WORDS[link]);
}

/** @param {import("../shared/reduce.js").Stream} stream @param {boolean} videoFailed */
function slateNote(stream, videoFailed) {
  if (stream.status === "ended") return "This stream has ended.";
  if (stream.status === "scheduled") return stream.starts_at ? `Starts ${when(stream.starts_at)}` : "Starts soon";
  return videoFailed ? "The video cannot be shown here. Drops still arrive." : "";
}

/**
 * What stands in the card's place when there is no drop to show.
 * @param {import("../shared/reduce.js").Stream | null} stream null before the first welcome
 * @param {string} link
 * @param {number | null} closeCode why the link is over
 */
export function paintQuiet(stream, link, closeCode) {
  const [title, note] = quietWords(stream, link, closeCode);
  say(byId("quiet-title"), title);
  say(byId("quiet-note"), note);
  byId("quiet-link").hidden = link !== "over" && stream?.status !== "ended";
  if (!stream) say(byId("slate-note"), link === "over" ? "" : "Connecting to the stream…");
}

/** @param {import("../shared/reduce.js").Stream | null} stream @param {string} link @param {number | null} code
 * @returns {[string, string]} */
function quietWords(stream, link, code) {
  if (code === 4504) return ["No such stream", "The address may be mistyped, or the stream was taken down."];
  if (code === 4503 || stream?.status === "ended") return ["The stream has ended", "Thank you for watching."];
  if (code === 4501) return ["This stream is not open to you", "Sign in with the account that was invited."];
  if (link === "over") return ["Disconnected", "Reload the page to come back."];
  if (!stream) {
    return link === "waiting" ? ["The stream cannot be reached", "Trying again by itself."] : ["Connecting…", ""];
  }
  if (link !== "live") return ["Link lost", "Reconnecting by itself. A drop that opens now shows as soon as it is back."];
  if (stream.status === "scheduled") return ["Not started yet", "Drops show here as soon as the host opens them."];
  return ["No drop yet", "It shows here the moment the host opens one."];
}

/**
 * The pinned card.
 * @param {import("./card.js").Drop} drop
 * @param {import("./card.js").Card} card
 * @param {{variant: string, quantity: number}} choice
 * @param {{stale: boolean, turning: boolean}} now whether the link is down · whether the card just turned to this drop
 */
export function paintCard(drop, card, choice, { stale, turning }) {
  const root = byId("card");
  root.dataset.drop = drop.id;
  root.dataset.phase = card.phase;
  root.classList.toggle("stale", stale);
  picture(byId("drop-image"), drop.image);
  say(byId("drop-title"), drop.title);
  say(byId("price"), money(drop.price, drop.currency));
  say(byId("limit"), drop.limit === 1 ? "1 per viewer" : `up to ${count(drop.limit)} per viewer`);
  const stock = byId("stock");
  mark(stock, "data-left", String(card.left));
  say(stock, card.stock);
  paintPips(card.phase === "open" ? card.left : null);
  // A closed drop gave its stock back: its variants are not "sold out", there is nothing to choose.
  paintVariants(drop, choice.variant, card.locked, card.phase === "closed");
  const message = byId("message");
  message.dataset.tone = card.tone;
  say(message, card.message);
  const several = drop.limit > 1 && card.phase === "open";
  byId("quantity").hidden = !several;
  say(byId("amount"), String(choice.quantity));
  byId("less").disabled = card.locked || choice.quantity <= 1;
  byId("more").disabled = card.locked || choice.quantity >= card.most;
  const buy = byId("buy");
  // aria-disabled instead of disabled: the focus stays where the viewer put it.
  mark(buy, "aria-disabled", card.button.action && !turning ? null : "true");
  buy.dataset.tone = card.button.tone;
  say(buy, card.button.label);
}

/** @param {number | null} left */
function paintPips(left) {
  const pips = byId("pips");
  pips.hidden = left === null;
  while (pips.children.length < PIPS) pips.append(make("i"));
  const lit = Math.min(left ?? 0, PIPS);
  [...pips.children].forEach((pip, place) => pip.classList.toggle("lit", place < lit));
  pips.classList.toggle("few", left !== null && left <= PIPS);
}

/** @param {import("./card.js").Drop} drop @param {string} chosen @param {boolean} locked @param {boolean} over */
function paintVariants(drop, chosen, locked, over) {
  const box = byId("variants");
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
  drop.variants.forEach(({ id, left }, place) => {
    const label = box.querySelectorAll("label")[place];
    const input = label.querySelector("input");
    input.checked = id === chosen;
    input.disabled = locked && id !== chosen;
    label.classList.toggle("gone", left === 0);
    say(label.querySelector("small"), left === 0 ? " sold out" : "");
  });
}

/**
 * The list of all drops in the sheet.
 * @param {import("./card.js").Drop[]} drops
 * @param {number} now
 */
export function paintSheet(drops, now) {
  const list = byId("sheet-list");
  for (const drop of drops) {
    let row = list.querySelector(`[data-drop="${CSS.escape(drop.id)}"]`);
    if (!row) {
      const inside = [
        make("img", { alt: "", width: 56, height: 56, loading: "lazy" }),
        make("span", { className: "row-title" }),
        make("span", { className: "row-price" }),
        make("span", { className: "row-stock" }),
      ];
      row = make("button", { type: "button", "data-drop": drop.id }, ...inside);
      list.append(make("li", {}, row));
    }
    const phase = phaseOf(drop, now);
    const left = drop.variants.reduce((sum, variant) => sum + variant.left, 0);
    row.dataset.phase = phase;
    picture(row.querySelector("img"), drop.image);
    say(row.querySelector(".row-title"), drop.title);
    say(row.querySelector(".row-price"), money(drop.price, drop.currency));
    say(row.querySelector(".row-stock"), stockWords(drop, phase, left, now));
  }
  const known = new Set(drops.map((drop) => drop.id));
  for (const row of [...list.querySelectorAll("button")]) if (!known.has(row.dataset.drop)) row.parentElement.remove();
}
