// @ts-check
/**
 * What the pinned card says: from the drop, the link and the viewer's orders to words.
 *
 * @typedef {import("../shared/reduce.js").Drop} Drop
 * @typedef {"coming" | "open" | "sold_out" | "closed"} Phase
 * @typedef {{drop: Drop, variant: string, quantity: number, link: string, signedIn: boolean | null, ended: boolean,
 *   entry: import("../shared/orders.js").Entry | null, outcome: import("../shared/orders.js").Outcome | null,
 *   bought: number, now: number, step: Step | null}} Sight
 * @typedef {"confirm" | "undo" | "undone" | "late"} Step where a wish stands before it is sent: to be confirmed · to be sent
 *   in a moment · taken back · not sent, because the drop went
 * @typedef {"buy" | "confirm" | "send" | "retry" | "login"} Action
 * @typedef {{label: string, action: Action | null, tone: "buy" | "busy" | "yours" | "off"}} Button
 * @typedef {{button: Button, back: string | null, left: number | null, stock: string, clock: string | null,
 *   message: string, tone: "good" | "bad" | "plain", locked: boolean, most: number, phase: Phase}} Card
 */
import { count, countdown, money, when } from "../shared/format.js";
import { t } from "../shared/texts.js";

/** How long "Yours ✓" stands on the button when the viewer may buy more. */
export const YOURS_MS = 4_000;

/** Reasons that `refusal.…` has words for; another one is a refusal all the same. */
const REFUSALS = new Set([
  "drop_closed", "not_open", "limit_reached", "bad_quantity", "unknown_drop", "login_required", "conflict", "busy",
  "draining", "rate_limited", "internal",
]);

/**
 * Where a drop stands by the server's clock: its status, and its own opening and closing times, which the
 * server keeps to the millisecond even before the event is out.
 * @param {Drop} drop
 * @param {number} now server time in ms
 * @returns {Phase}
 */
export function phaseOf(drop, now) {
  if (drop.status === "closed" || (drop.closes_at !== null && now >= drop.closes_at)) return "closed";
  if (drop.status === "scheduled" || (drop.opens_at !== null && now < drop.opens_at)) return "coming";
  if (drop.status === "sold_out" || drop.variants.every((variant) => variant.left === 0)) return "sold_out";
  return "open";
}

/**
 * The drop the card shows: the viewer's own choice, else the one that opened last, else the best there is.
 * @param {Drop[]} drops
 * @param {string | null} chosen
 * @param {string | null} opened
 * @param {number} now
 * @returns {Drop | null}
 */
export function pinned(drops, chosen, opened, now) {
  const mine = drops.find((drop) => drop.id === chosen);
  if (mine) return mine;
  const latest = drops.find((drop) => drop.id === opened);
  if (latest && phaseOf(latest, now) !== "closed") return latest;
  const last = (/** @type {Phase} */ phase) => drops.filter((drop) => phaseOf(drop, now) === phase).at(-1);
  const next = drops.find((drop) => phaseOf(drop, now) === "coming");
  return last("open") ?? next ?? last("sold_out") ?? last("closed") ?? null;
}

/**
 * Everything the card says.
 * @param {Sight} sight
 * @returns {Card}
 */
export function cardOf(sight) {
  const { drop, entry, bought, link, now, step } = sight;
  const phase = sight.ended ? "closed" : phaseOf(drop, now);
  const variant = drop.variants.find((other) => other.id === sight.variant) ?? drop.variants[0];
  // What was left when the link went down is no fact any more.
  const left = link === "live" || phase === "closed" ? variant?.left ?? 0 : null;
  const button = buttonOf(sight, phase, variant?.left ?? 0);
  const waits = button.action === "confirm" || button.action === "send";
  const back = !waits ? null : step === "confirm" ? t("card.back") : t("card.undo");
  const { message, tone } = messageOf(sight, phase, variant?.left ?? 0, button);
  const locked = entry?.state === "sending" || entry?.state === "unknown" || waits;
  const most = mostOf(drop, sight.variant, bought);
  const stock = left === null && phase !== "coming" ? t("card.stock_unknown") : stockWords(drop, phase, left ?? 0, now);
  return { button, back, left, stock, clock: clockOf(drop, phase, now), message, tone, locked, most, phase };
}

/**
 * The largest quantity that makes sense to offer; at least 1.
 * @param {Drop} drop
 * @param {string} variant
 * @param {number} bought
 * @returns {number}
 */
export function mostOf(drop, variant, bought) {
  const left = drop.variants.find((other) => other.id === variant)?.left ?? 0;
  return Math.max(1, Math.min(drop.limit - bought, left));
}

/**
 * The stock in words.
 * @param {Drop} drop
 * @param {Phase} phase
 * @param {number} left of the variant that is chosen
 * @param {number} now
 * @returns {string}
 */
export function stockWords(drop, phase, left, now) {
  if (phase === "closed") return t("card.closed");
  if (phase === "coming") {
    const known = drop.opens_at !== null && drop.opens_at > now;
    return known ? t("card.opens_at", { time: when(/** @type {number} */ (drop.opens_at), now) }) : t("card.opens_soon");
  }
  return phase === "sold_out" || left === 0 ? t("card.sold_out") : t("card.left", { n: left });
}

/** The time that runs down, when it does. @param {Drop} drop @param {Phase} phase @param {number} now */
function clockOf(drop, phase, now) {
  const until = phase === "coming" ? drop.opens_at : phase === "open" ? drop.closes_at : null;
  const left = until === null ? null : countdown(until - now);
  if (left === null) return null;
  return phase === "open" ? t("card.closes_in", { time: left }) : t("card.opens_in", { time: left });
}

/** @param {Sight} sight @param {Phase} phase @param {number} left @returns {Button} */
function buttonOf({ drop, quantity, link, signedIn, ended, entry, outcome, bought, now, step }, phase, left) {
  const off = (/** @type {string} */ label) => /** @type {Button} */ ({ label, action: null, tone: "off" });
  if (entry?.state === "sending") return { label: t("card.sending"), action: null, tone: "busy" };
  const fresh = outcome?.receipt.status === "accepted" && now - outcome.at < YOURS_MS;
  if (bought > 0 && !entry && (fresh || bought >= drop.limit || phase !== "open")) {
    return { label: t("card.yours"), action: null, tone: "yours" };
  }
  if (entry?.state === "unknown") {
    return link === "live" ? { label: t("card.try_again"), action: "retry", tone: "buy" } : off(t("card.waiting"));
  }
  if (ended) return off(t("card.stream_ended"));
  if (phase === "closed") return off(t("card.closed"));
  if (phase === "sold_out" || (phase === "open" && left === 0)) return off(t("card.sold_out"));
  if (phase === "coming") return off(t("card.not_open_yet"));
  if (link === "over") return off(t("card.reload"));
  // Also while the link is lost: what was wished then waits in `Orders`, and can be taken back until it does.
  if (step === "undo") return { label: t("card.send_now"), action: "send", tone: "buy" };
  if (link !== "live") return off(signedIn === null ? t("link.connecting") : t("card.waiting"));
  if (entry?.state === "retry") return { label: t("card.try_again"), action: "retry", tone: "buy" };
  // Bought in another tab, or another day.
  if (outcome?.receipt.reason === "limit_reached" && outcome.quantity === 1) return off(t("card.limit_reached"));
  const total = money(drop.price * quantity, drop.currency);
  if (step === "confirm") return { label: t("card.confirm", { total }), action: "confirm", tone: "buy" };
  const label = quantity > 1 ? t("card.buy_several", { quantity, total }) : t("card.buy", { total });
  // A session may have run out since the welcome.
  const known = signedIn && outcome?.receipt.reason !== "login_required";
  return { label, action: known ? "buy" : "login", tone: "buy" };
}

/**
 * @param {Sight} sight @param {Phase} phase @param {number} left @param {Button} button
 * @returns {{message: string, tone: Card["tone"]}}
 */
function messageOf({ drop, variant, quantity, link, signedIn, entry, outcome, bought, step }, phase, left, button) {
  // Before the link: whoever has just bought asks first what becomes of it.
  if (button.action === "confirm" || button.action === "send") {
    const several = drop.variants.length > 1;
    const label = several ? ` · ${drop.variants.find(({ id }) => id === variant)?.label ?? ""}` : "";
    const total = money(drop.price * quantity, drop.currency);
    const what = `${count(quantity)} × ${drop.title}${label}`;
    return {
      message: button.action === "confirm" ? t("card.about_to", { what, total }) : t("card.is_sent", { what, total }),
      tone: "plain",
    };
  }
  if (step === "late") {
    return { message: left > 0 && phase === "open" ? t("card.too_few") : t("card.too_late"), tone: "plain" };
  }
  if (step === "undone") return { message: t("card.undone"), tone: "plain" };
  if (link === "over" && phase !== "closed") return { message: t("card.disconnected"), tone: "bad" };
  if (link !== "live" && link !== "over" && signedIn !== null) {
    return { message: entry?.state === "sending" ? t("card.lost_sending") : t("card.lost"), tone: "bad" };
  }
  if (entry?.state === "unknown" && !entry.reason) return { message: t("card.no_answer"), tone: "bad" };
  if (entry?.state === "sending") return { message: "", tone: "plain" };
  const receipt = outcome?.receipt;
  if (outcome && receipt?.status === "accepted") {
    const n = receipt.quantity ?? outcome.quantity;
    const total = money(receipt.total ?? drop.price * outcome.quantity, receipt.currency ?? drop.currency);
    return { message: t("card.ordered", { quantity: n, total }), tone: "good" };
  }
  if (receipt?.retry && entry?.state !== "unknown" && phase !== "open") {
    return { message: t("card.nothing_bought"), tone: "plain" };
  }
  if (outcome && receipt) return { message: refusal(receipt.reason ?? "internal", outcome.quantity, left), tone: "bad" };
  if (bought > 0) return { message: t("card.you_have", { n: bought }), tone: "good" };
  return { message: "", tone: "plain" };
}

/**
 * A rejected receipt in words; `sold_out` is also the answer to wanting more than is left.
 * @param {string} reason
 * @param {number} wanted
 * @param {number} left
 * @returns {string}
 */
export function refusal(reason, wanted, left) {
  if (reason === "sold_out") {
    return left > 0 && wanted > 1 ? t("card.fewer_left", { wanted }) : t("card.sold_out_before");
  }
  return REFUSALS.has(reason) ? t(`refusal.${reason}`) : t("card.refused");
}
