// @ts-check
/**
 * The words of a page in the reader's language. The server puts the texts a page's scripts can say into the page;
 * elsewhere (on another site's page, in a test) they are handed in with `useTexts`.
 */

/** @type {Record<string, string>} */
let table = {};
/** @type {Intl.PluralRules} */
let plurals;
/**
 * How the reader writes numbers and times: their own locale where it is of the page's language.
 * @type {string}
 */
export let locale = "en";

/**
 * Speaks this language from now on.
 * @param {Record<string, string>} texts
 * @param {string} language of the texts, such as "zh-Hans"
 */
export function useTexts(texts, language) {
  const base = language.split("-")[0];
  table = texts;
  locale = globalThis.navigator?.languages?.find((one) => one.split("-")[0] === base) ?? language;
  plurals = new Intl.PluralRules(language);
}

/**
 * A text, with its `{name}`s filled in; numbers as the reader writes them. With an `n`, texts that have a plural are
 * chosen by it: `key.one`, `key.other`.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  const { n } = values;
  const several = typeof n === "number" && (table[`${key}.${plurals.select(n)}`] ?? table[`${key}.other`]);
  const text = several || table[key];
  if (text === undefined) throw new Error(`no text ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? new Intl.NumberFormat(locale).format(value) : String(value);
  });
}

const given = globalThis.document?.getElementById("texts");
useTexts(JSON.parse(given?.textContent ?? "{}"), globalThis.document?.documentElement.lang || "en");
