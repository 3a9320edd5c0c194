// @ts-check
/** Money, counts and times for people. */

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
 * @param {string} [locale]
 * @returns {string}
 */
export function money(minor, currency, locale) {
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
  return new Intl.NumberFormat().format(value);
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
  return new Intl.DateTimeFormat(undefined, { ...day, hour: "numeric", minute: "2-digit" }).format(ms);
}
