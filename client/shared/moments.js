// @ts-check
/** Days and spans of time for people: what the lists say, and the page of a stream has no need of. */
import { locale } from "./texts.js";

/** The time of day. @param {number} ms */
export function clock(ms) {
  return new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" }).format(ms);
}

/**
 * A day, for a heading: today and its neighbours by name, others with their date; the year where it is not this one.
 * @param {number} ms
 * @param {number} [now]
 */
export function day(ms, now = Date.now()) {
  const days = daysFrom(now, ms);
  if (Math.abs(days) <= 1) return capital(new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(days, "day"));
  const sameYear = new Date(ms).getFullYear() === new Date(now).getFullYear();
  /** @type {Intl.DateTimeFormatOptions} */
  const year = sameYear ? {} : { year: "numeric" };
  return capital(new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long", ...year }).format(ms));
}

const UNITS = /** @type {const} */ ([["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000]]);

/**
 * How long until a moment, or since: "in 3 hours", "tomorrow", "2 days ago".
 * @param {number} ms
 * @param {number} [now]
 */
export function fromNow(ms, now = Date.now()) {
  const words = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
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
  return text.charAt(0).toLocaleUpperCase(locale) + text.slice(1);
}
