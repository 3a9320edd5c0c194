// @ts-check
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { beforeEach, test } from "node:test";
import { money } from "../../client/shared/format.js";
import { day, fromNow } from "../../client/shared/moments.js";
import { sentenceOf } from "../../client/shared/refusals.js";
import { useTexts } from "../../client/shared/texts.js";

const NOON = new Date(2026, 10, 23, 12).getTime();
const HOUR = 3_600_000;

/** @param {string} name @param {string} [tag] */
function speak(name, tag = name) {
  useTexts(JSON.parse(readFileSync(new URL(`../../client/texts/${name}.json`, import.meta.url), "utf8")), tag);
}
beforeEach(() => speak("en"));

test("a refusal of a field is said about the field, in the reader's language", () => {
  assert.match(sentenceOf({ reason: "bad_credentials", field: "code" }), /wrong or no longer valid/);
  assert.match(sentenceOf({ reason: "bad_credentials", field: "old" }), /not your password/);
  assert.match(sentenceOf({ reason: "bad_credentials" }), /E-mail or password/);
  speak("zh", "zh-Hans");
  assert.match(sentenceOf({ reason: "bad_credentials", field: "code" }), /验证码/);
});

test("who tried too often hears when to come back", () => {
  assert.match(sentenceOf({ reason: "rate_limited", retryAfterS: 1 }), /come back in 1 second\./);
  assert.match(sentenceOf({ reason: "rate_limited", retryAfterS: 60 }), /come back in 60 seconds\./);
  assert.match(sentenceOf({ reason: "rate_limited", retryAfterS: 121 }), /come back in 3 minutes\./);
  speak("es");
  assert.match(sentenceOf({ reason: "rate_limited", retryAfterS: 121 }), /vuelve dentro de 3 minutos\./);
});

test("what only the server knows is its own sentence in English, and a general one elsewhere", () => {
  const refusal = { reason: "conflict", detail: "end your streams first: 2 of them are live or scheduled" };
  assert.equal(sentenceOf(refusal), "End your streams first: 2 of them are live or scheduled.");
  speak("es");
  assert.equal(sentenceOf(refusal), "No ha funcionado. Inténtalo de nuevo o vuelve más tarde.");
  speak("en");
  assert.match(sentenceOf({ reason: "something_new" }), /did not work/);
});

test("days have names near today, and dates elsewhere", () => {
  assert.equal(day(NOON, NOON), "Today");
  assert.equal(day(NOON - 20 * HOUR, NOON), "Yesterday");
  assert.equal(day(NOON - 13 * 24 * HOUR, NOON), "Tuesday, November 10");
  assert.match(day(new Date(2025, 10, 23, 12).getTime(), NOON), /2025/);
  speak("es");
  assert.equal(day(NOON - 20 * HOUR, NOON), "Ayer");
});

test("how long until a show, in words", () => {
  assert.equal(fromNow(NOON + 20 * 60_000, NOON), "in 20 minutes");
  assert.equal(fromNow(NOON + 3 * HOUR, NOON), "in 3 hours");
  assert.equal(fromNow(NOON + 26 * HOUR, NOON), "tomorrow");
  assert.equal(fromNow(NOON + 40 * HOUR, NOON), "in 2 days");
  assert.equal(fromNow(NOON - 3 * 24 * HOUR, NOON), "3 days ago");
  speak("zh", "zh-Hans");
  assert.equal(fromNow(NOON + 26 * HOUR, NOON), "明天");
});

test("money is written as the reader writes it", () => {
  assert.equal(money(2450, "EUR"), "€24.50");
  speak("es");
  assert.equal(money(2450, "EUR"), "24,50\u00a0€");
});
