// @ts-check
/** What a host types: prices and counts as whole numbers, exactly or not at all. */
import { exponentOf, money } from "./format.js";

/** Largest price of one unit in minor units; the server's `PRICE_MAX`. */
export const PRICE_MAX = 1_000_000_000;

/**
 * Minor units as the text of a price field: 2450 USD → "24.50".
 * @param {number} minor
 * @param {string} currency
 * @returns {string}
 */
export function majorText(minor, currency) {
  const exponent = exponentOf(currency);
  if (exponent === 0) return String(minor);
  const digits = String(minor).padStart(exponent + 1, "0");
  return `${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
}

/**
 * A price typed by a person as whole minor units, without ever touching a float. A comma or a point may stand
 * before the decimals; anything that could be read two ways is refused.
 * @param {string} text
 * @param {string} currency
 * @returns {{minor: number} | {error: string}}
 */
export function parsePrice(text, currency) {
  const exponent = exponentOf(currency);
  const found = /^(\d+)(?:[.,](\d+))?$/.exec(text.trim());
  if (!found) return { error: `Write the price as a number, like ${majorText(24 * 10 ** exponent, currency)}.` };
  const [, whole, decimals = ""] = found;
  if (decimals.length > exponent) {
    const most = exponent ? `at most ${exponent}` : "no";
    return { error: `${currency} has ${most} decimals. Write thousands without a separator.` };
  }
  const minor = BigInt(whole + decimals.padEnd(exponent, "0"));
  if (minor < 1n) return { error: "The price must be more than zero." };
  if (minor > BigInt(PRICE_MAX)) return { error: `The price is at most ${money(PRICE_MAX, currency)}.` };
  return { minor: Number(minor) };
}

/**
 * A whole number of at least `least`, as typed; null for anything else.
 * @param {string} text
 * @param {number} [least]
 * @returns {number | null}
 */
export function parseCount(text, least = 1) {
  const trimmed = text.trim();
  if (!/^\d{1,10}$/.test(trimmed)) return null;
  return Number(trimmed) >= least ? Number(trimmed) : null;
}
