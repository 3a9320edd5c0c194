// @ts-check
/** Money, counts and times for people, as the reader writes them. */
import { locale, t } from "./texts.js";

const HOUR_MS = 3_600_000;

/**
 * How many decimal digits a currency has: 2 for USD, 0 for JPY, 3 for KWD.
 * @param {string} currency
 * @returns {number}
 */
export function exponentOf(currency) {
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
}

/**
 * Money as people write it; whole amounts without decimals: `$24`, `$24.50`.
 * @param {number} minor
 * @param {string} currency
 * @returns {string}
 */
export function money(minor, currency) {
  const exponent = exponentOf(currency);
  const digits = minor % 10 ** exponent === 0 ? 0 : exponent;
  return new Intl.NumberFormat(locale, {
    style: "currency",
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(minor / 10 ** exponent);
}

/** A count with the reader's separators: 1,284. @param {number} value */
export function count(value) {
  return new Intl.NumberFormat(locale).format(value);
}

/**
 * A moment: the time alone when it is today, else with the day.
 * @param {number} ms
 * @param {number} [now]
 * @returns {string}
 */
export function when(ms, now = Date.now()) {
  const sameDay = new Date(ms).toDateString() === new Date(now).toDateString();
  /** @type {Intl.DateTimeFormatOptions} */
  const day = sameDay ? {} : { weekday: "short", day: "numeric", month: "short" };
  return new Intl.DateTimeFormat(locale, { ...day, hour: "numeric", minute: "2-digit" }).format(ms);
}

/**
 * How long is left, as a clock that runs down: `0:42`, `59:59`; null when it is an hour or more, or over.
 * @param {number} ms
 * @returns {string | null}
 */
export function countdown(ms) {
  if (ms <= 0 || ms >= HOUR_MS) return null;
  const seconds = Math.ceil(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/**
 * What a price saves of the list price, in whole percent; null when that is nothing worth saying.
 * @param {number} price
 * @param {number | null | undefined} list
 * @returns {string | null}
 */
export function saving(price, list) {
  if (!list || price >= list) return null;
  const percent = Math.floor((1 - price / list) * 100);
  return percent < 1 ? null : t("card.saving", { percent });
}
