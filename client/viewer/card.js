// @ts-check
/**
 * What the pinned card says: from the drop, the link and the viewer's orders to words.
 *
 * @typedef {import("../shared/reduce.js").Drop} Drop
 * @typedef {"coming" | "open" | "sold_out" | "closed"} Phase
 * @typedef {{drop: Drop, variant: string, quantity: number, link: string, signedIn: boolean | null, ended: boolean,
 *   entry: import("../shared/orders.js").Entry | null, outcome: import("../shared/orders.js").Outcome | null,
 *   bought: number, now: number}} Sight
 * @typedef {{label: string, action: "buy" | "retry" | "login" | null, tone: "buy" | "busy" | "yours" | "off"}} Button
 * @typedef {{button: Button, left: number, stock: string, message: string, tone: "good" | "bad" | "plain",
 *   locked: boolean, most: number, phase: Phase}} Card
 */
import { count, money, when } from "../shared/format.js";

/** How long "Yours ✓" stands on the button when the viewer may buy more. */
export const YOURS_MS = 4_000;

/** @type {Record<string, string>} */
const REFUSALS = {
  drop_closed: "This drop closed before your order arrived. Nothing was bought.",
  not_open: "This drop is not open yet. Nothing was bought.",
  limit_reached: "You already have the most one viewer may buy.",
  bad_quantity: "That many are not allowed. Nothing was bought.",
  unknown_drop: "This drop is not here any more. Nothing was bought.",
  login_required: "Sign in to buy. Nothing was bought.",
  conflict: "An earlier order stands under this tap. See My orders.",
  busy: "Very busy right now. Trying again never buys twice.",
  draining: "The server is moving you. Trying again never buys twice.",
  rate_limited: "That was too fast. Trying again never buys twice.",
  internal: "Something failed on our side. Trying again never buys twice.",
};

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
  const { drop, entry, bought, now } = sight;
  const phase = sight.ended ? "closed" : phaseOf(drop, now);
  const variant = drop.variants.find((other) => other.id === sight.variant) ?? drop.variants[0];
  const left = variant?.left ?? 0;
  const button = buttonOf(sight, phase, left);
  const { message, tone } = messageOf(sight, phase, left);
  const locked = entry?.state === "sending" || entry?.state === "unknown";
  const most = mostOf(drop, sight.variant, bought);
  return { button, left, stock: stockWords(drop, phase, left, now), message, tone, locked, most, phase };
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
  if (phase === "closed") return "Closed";
  if (phase === "coming") {
    return drop.opens_at !== null && drop.opens_at > now ? `Opens ${when(drop.opens_at, now)}` : "Opens soon";
  }
  return phase === "sold_out" || left === 0 ? "Sold out" : `${count(left)} left`;
}

/** @param {Sight} sight @param {Phase} phase @param {number} left @returns {Button} */
function buttonOf({ drop, quantity, link, signedIn, ended, entry, outcome, bought, now }, phase, left) {
  const off = (/** @type {string} */ label) => /** @type {Button} */ ({ label, action: null, tone: "off" });
  if (entry?.state === "sending") return { label: "Sending…", action: null, tone: "busy" };
  const fresh = outcome?.receipt.status === "accepted" && now - outcome.at < YOURS_MS;
  if (bought > 0 && !entry && (fresh || bought >= drop.limit || phase !== "open")) {
    return { label: "Yours ✓", action: null, tone: "yours" };
  }
  if (entry?.state === "unknown") {
    return link === "live" ? { label: "Try again", action: "retry", tone: "buy" } : off("Waiting…");
  }
  if (ended) return off("Stream ended");
  if (phase === "closed") return off("Closed");
  if (phase === "sold_out" || (phase === "open" && left === 0)) return off("Sold out");
  if (phase === "coming") return off("Not open yet");
  if (link === "over") return off("Reload the page");
  if (link !== "live") return off(link === "connecting" && signedIn === null ? "Connecting…" : "Waiting…");
  if (entry?.state === "retry") return { label: "Try again", action: "retry", tone: "buy" };
  // Bought in another tab, or another day.
  if (outcome?.receipt.reason === "limit_reached" && outcome.quantity === 1) return off("Limit reached");
  const total = money(drop.price * quantity, drop.currency);
  const label = quantity > 1 ? `Buy ${quantity} · ${total}` : `Buy ${total}`;
  // A session may have run out since the welcome.
  const known = signedIn && outcome?.receipt.reason !== "login_required";
  return { label, action: known ? "buy" : "login", tone: "buy" };
}

/** @param {Sight} sight @param {Phase} phase @param {number} left @returns {{message: string, tone: Card["tone"]}} */
function messageOf({ drop, link, signedIn, entry, outcome, bought }, phase, left) {
  if (link === "over" && phase !== "closed") {
    return { message: "Disconnected. Reload the page to come back.", tone: "bad" };
  }
  if (link !== "live" && link !== "over" && signedIn !== null) {
    const message =
      entry?.state === "sending"
        ? "Link lost. Your order is sent again on return; it never buys twice."
        : "Link lost, reconnecting. This may be old.";
    return { message, tone: "bad" };
  }
  if (entry?.state === "unknown" && !entry.reason) {
    return { message: "No answer yet. Trying again never buys twice.", tone: "bad" };
  }
  if (entry?.state === "sending") return { message: "", tone: "plain" };
  const receipt = outcome?.receipt;
  if (outcome && receipt?.status === "accepted") {
    const total = money(receipt.total ?? drop.price * outcome.quantity, receipt.currency ?? drop.currency);
    return { message: `Ordered: ${receipt.quantity ?? outcome.quantity} for ${total}. It is yours.`, tone: "good" };
  }
  if (receipt?.retry && entry?.state !== "unknown" && phase !== "open") return { message: "Nothing was bought.", tone: "plain" };
  if (outcome && receipt) return { message: refusal(receipt.reason ?? "internal", outcome.quantity, left), tone: "bad" };
  if (bought > 0) return { message: `You have ${bought} of this drop.`, tone: "good" };
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
    return left > 0 && wanted > 1
      ? `Fewer than ${wanted} were left. Nothing was bought.`
      : "Sold out before your order arrived. Nothing was bought.";
  }
  return REFUSALS[reason] ?? "The order was refused. Nothing was bought.";
}
