// @ts-check
/** The stream page: frames in, one paint per animation frame, taps out. */
import { byId, say } from "../shared/dom.js";
import { money } from "../shared/format.js";
import { Link } from "../shared/link.js";
import { loginFor } from "../shared/login.js";
import { ANSWER_WITHIN_MS, Orders } from "../shared/orders.js";
import { applyEvent, applyStock, fromWelcome, withViewers } from "../shared/reduce.js";
import { Announcer, dropNews } from "./announce.js";
import { cardOf, mostOf, phaseOf, pinned, refusal, YOURS_MS } from "./card.js";
import { paintBar, paintCard, paintLink, paintQuiet, paintSheet } from "./paint.js";

/** After the card turned to another drop, Buy waits this long: a tap meant for the old one must not buy the new. */
const TURN_MS = 600;
/** The card does not turn by itself while the viewer's hand was on it this recently. */
const HANDS_MS = 3_000;

const slug = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const announcer = new Announcer(byId("status"));
const card = byId("card");
const sheet = byId("sheet");
const video = byId("video");

/** @type {import("../shared/reduce.js").StreamState | null} */
let state = null;
/** @type {boolean | null} null until the first welcome */
let signedIn = null;
/** @type {number | null} why the link is over */
let closeCode = null;
let choice = { drop: "", variant: "", quantity: 1 };
/** @type {string | null} the drop the viewer picked in the sheet */
let picked = null;
/** @type {string | null} the drop that opened last */
let opened = null;
/** @type {string | null} a drop that opened and waits until the viewer's hand is off the card */
let comingUp = null;
let turnedAt = -Infinity;
let touchedAt = -Infinity;
let videoFailed = false;
let painting = false;
/** @type {"buy" | "retry" | "login" | null} what the button does, as painted */
let action = null;
/** @type {any} */
let wakeUp;

const link = new Link(slug, { frame: onFrame, state: onLink });
const orders = new Orders(slug, {
  send: (frame) => link.send(frame),
  storage: tabStorage(),
  now: () => link.serverNow(),
});

/** @param {any} frame */
function onFrame(frame) {
  const before = state;
  switch (frame.type) {
    case "welcome":
      state = fromWelcome(state, frame);
      signedIn = frame.viewer !== null;
      orders.welcome(frame.viewer?.id ?? null);
      frame.missed?.forEach(noticeOpening);
      break;
    case "event":
      if (state) state = applyEvent(state, frame);
      noticeOpening(frame);
      break;
    case "stock":
      if (state) state = applyStock(state, frame.stock);
      break;
    case "tick":
      if (state) state = withViewers(state, frame.viewers);
      orders.age();
      break;
    case "receipt":
      onReceipt(frame);
  }
  if (before && state) tellStock(before, state);
  paintSoon();
}

/** @param {import("../shared/orders.js").Receipt} receipt */
function onReceipt(receipt) {
  const entry = orders.receive(receipt);
  if (!entry) return;
  const drop = state?.drops.find((other) => other.id === entry.drop);
  const left = drop?.variants.find((variant) => variant.id === entry.variant)?.left ?? 0;
  const words =
    receipt.status === "accepted" ? "ordered, it is yours." : refusal(receipt.reason ?? "internal", entry.quantity, left);
  announcer.receipt(`${drop?.title ?? "Your order"}: ${words}`);
  setTimeout(paintSoon, YOURS_MS + 50);
}

/** @param {import("../shared/reduce.js").EventFrame} frame */
function noticeOpening({ event }) {
  if (event.kind !== "drop_opened" || !event.drop) return;
  const { id, title, price, currency } = event.drop;
  if (id !== opened) announcer.stock(`${title} is open, ${money(price, currency)}`);
  comingUp = id;
  turnWhenFree();
}

/** Turns to the drop that opened, but never under the viewer's hand or an order on its way. */
function turnWhenFree() {
  if (!comingUp) return;
  if (orders.of(choice.drop)?.state === "sending" || performance.now() - touchedAt < HANDS_MS) {
    setTimeout(turnWhenFree, 500);
    return;
  }
  opened = comingUp;
  comingUp = null;
  picked = null;
  paintSoon();
}

/** @typedef {import("../shared/reduce.js").StreamState} State */
/** @param {State} before @param {State} after */
function tellStock(before, after) {
  const shown = (/** @type {State} */ one) => one.drops.find((drop) => drop.id === choice.drop);
  const news = dropNews(shown(before), shown(after), choice.variant);
  if (news) announcer.stock(news);
}

/** @param {import("../shared/link.js").LinkState} now @param {number | null} code */
function onLink(now, code) {
  if (now === "over") closeCode = code;
  paintSoon();
}

function paintSoon() {
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => {
    painting = false;
    paint();
  });
}

function paint() {
  const now = link.serverNow();
  const drop = state && pinned(state.drops, picked, opened, now);
  card.hidden = !drop;
  byId("quiet").hidden = Boolean(drop);
  paintAccount();
  if (state) {
    paintBar(state.stream, link.state, videoFailed);
    showVideo(state.stream);
  } else paintLink(link.state);
  if (!state || !drop) return paintQuiet(state?.stream ?? null, link.state, closeCode);
  byId("open-sheet").hidden = state.drops.length < 2;
  say(byId("open-sheet"), `All drops (${state.drops.length})`);
  if (sheet.open) paintSheet(state.drops, now);
  turnTo(drop, now);
  const entry = orders.of(drop.id);
  if (entry && entry.state !== "retry") choice = { drop: drop.id, variant: entry.variant, quantity: entry.quantity };
  const bought = orders.bought(drop.id);
  if (!entry) choice.quantity = Math.min(choice.quantity, mostOf(drop, choice.variant, bought));
  const ended = state.stream.status === "ended" || closeCode === 4503;
  const outcome = orders.outcome(drop.id);
  const words = cardOf({ ...choice, drop, link: link.state, signedIn, ended, entry, outcome, bought, now });
  const stale = link.state === "connecting" || link.state === "waiting";
  paintCard(drop, words, choice, { stale, turning: performance.now() - turnedAt < TURN_MS });
  action = words.button.action;
  paintAgainWhenTimeChanges(state.drops, now);
}

/** @param {import("../shared/reduce.js").Drop} drop @param {number} now */
function turnTo(drop, now) {
  if (phaseOf(drop, now) === "open") opened ??= drop.id;
  if (choice.drop === drop.id) return;
  if (choice.drop) {
    turnedAt = performance.now();
    setTimeout(paintSoon, TURN_MS + 20);
  }
  const first = drop.variants.find((variant) => variant.left > 0) ?? drop.variants[0];
  choice = { drop: drop.id, variant: first?.id ?? "", quantity: 1 };
  card.classList.remove("enter");
  void card.offsetWidth; // lets the entrance play again
  card.classList.add("enter");
}

/**
 * Opening and closing times need no frame to come true.
 * @param {import("../shared/reduce.js").Drop[]} drops
 * @param {number} now
 */
function paintAgainWhenTimeChanges(drops, now) {
  const ahead = drops.flatMap((drop) => [drop.opens_at ?? 0, drop.closes_at ?? 0]).filter((at) => at > now);
  clearTimeout(wakeUp);
  if (ahead.length) wakeUp = setTimeout(paintSoon, Math.min(Math.min(...ahead) - now + 20, 3_600_000));
}

function paintAccount() {
  const way = byId("my-orders");
  say(way, signedIn === false ? "Sign in" : "My orders");
  way.href = signedIn === false ? loginFor(`/s/${slug}`) : "/orders";
}

/** @param {import("../shared/reduce.js").Stream} stream */
function showVideo(stream) {
  const wanted = stream.status === "ended" || videoFailed ? null : stream.video;
  if (wanted && video.dataset.src !== wanted) {
    video.dataset.src = wanted;
    video.src = wanted;
  }
  if (!wanted) {
    video.removeAttribute("src");
    byId("slate").hidden = false; // it covers the video until that really plays
    byId("sound").hidden = true;
  }
}

function buy() {
  touchedAt = performance.now();
  if (byId("buy").getAttribute("aria-disabled")) return;
  if (action === "login") return location.assign(loginFor(`/s/${slug}`));
  if (action === "buy") orders.place(choice);
  if (action === "retry") orders.retry(choice.drop);
  action = null; // until painted again: a double tap is one order
  setTimeout(() => {
    if (link.state === "live") orders.age();
    paintSoon();
  }, ANSWER_WITHIN_MS + 100);
  paintSoon();
}

function tabStorage() {
  try {
    return sessionStorage;
  } catch {
    return { getItem: () => null, setItem: () => {} };
  }
}

byId("buy").addEventListener("click", buy);
byId("less").addEventListener("click", () => step(-1));
byId("more").addEventListener("click", () => step(1));
/** @param {number} by */
function step(by) {
  choice.quantity = Math.max(1, choice.quantity + by);
  paintSoon();
}
byId("variants").addEventListener("change", (/** @type {any} */ event) => {
  choice.variant = event.target.value;
  paintSoon();
});
for (const kind of ["pointerdown", "keydown"]) card.addEventListener(kind, () => (touchedAt = performance.now()));
byId("open-sheet").addEventListener("click", () => {
  if (state) paintSheet(state.drops, link.serverNow());
  sheet.showModal();
});
byId("close-sheet").addEventListener("click", () => sheet.close());
sheet.addEventListener("click", (/** @type {any} */ event) => {
  const row = event.target.closest("[data-drop]");
  if (row) picked = row.dataset.drop;
  if (row || event.target === sheet) sheet.close();
  paintSoon();
});
video.addEventListener("playing", () => {
  byId("slate").hidden = true;
  byId("sound").hidden = false;
});
video.addEventListener("error", () => {
  videoFailed = true;
  paintSoon();
});
byId("sound").addEventListener("click", () => {
  video.muted = !video.muted;
  byId("sound").setAttribute("aria-pressed", String(!video.muted));
  say(byId("sound"), video.muted ? "Sound off" : "Sound on");
});

link.start();
