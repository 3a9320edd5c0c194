// @ts-check
/** Money, counts and times for people, as they write them. */
import { locale as reader } from "./texts.js";

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
 * @param {string} [locale] how; the reader's way without it
 * @returns {string}
 */
export function money(minor, currency, locale = reader) {
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
  return new Intl.NumberFormat(reader).format(value);
}

/**
 * A moment: the time alone when it is today, else with the day.
 * @param {number} ms
 * @param {number} [now]
 * @returns {string}
 */
export function when(ms, now = Date.now()) {
  /** @type {Intl.DateTimeFormatOptions} */
  const day = daysFrom(now, ms) === 0 ? {} : { weekday: "short", day: "numeric", month: "short" };
  return new Intl.DateTimeFormat(reader, { ...day, hour: "numeric", minute: "2-digit" }).format(ms);
}

/** The time of day. @param {number} ms */
export function clock(ms) {
  return new Intl.DateTimeFormat(reader, { hour: "numeric", minute: "2-digit" }).format(ms);
}

/**
 * A day, for a heading: today and its neighbours by name, others with their date; the year where it is not this one.
 * @param {number} ms
 * @param {number} [now]
 */
export function day(ms, now = Date.now()) {
  const days = daysFrom(now, ms);
  if (Math.abs(days) <= 1) return capital(new Intl.RelativeTimeFormat(reader, { numeric: "auto" }).format(days, "day"));
  const sameYear = new Date(ms).getFullYear() === new Date(now).getFullYear();
  /** @type {Intl.DateTimeFormatOptions} */
  const year = sameYear ? {} : { year: "numeric" };
  return capital(new Intl.DateTimeFormat(reader, { weekday: "long", day: "numeric", month: "long", ...year }).format(ms));
}

const UNITS = /** @type {const} */ ([["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000]]);

/**
 * How long until a moment, or since: "in 3 hours", "tomorrow", "2 days ago".
 * @param {number} ms
 * @param {number} [now]
 */
export function fromNow(ms, now = Date.now()) {
  const words = new Intl.RelativeTimeFormat(reader, { numeric: "auto" });
  const [unit, length] = UNITS.find(([, least]) => Math.abs(ms - now) >= least) ?? ["minute", 60_000];
  // days as the calendar counts them: what is 40 hours ahead may be tomorrow, or the day after
  return words.format(unit === "day" ? daysFrom(now, ms) : Math.round((ms - now) / length), unit);
}

/** How many midnights lie between. @param {number} from @param {number} to */
function daysFrom(from, to) {
  return Math.round((new Date(to).setHours(0, 0, 0, 0) - new Date(from).setHours(0, 0, 0, 0)) / 86_400_000);
}

/** @param {string} text */
function capital(text) {
  return text.charAt(0).toLocaleUpperCase(reader) + text.slice(1);
}
