// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { dropBody } from "../../client/host/add.js";
import "./texts.mjs";
import { exponentOf, money } from "../../client/shared/format.js";
import { safeNext } from "../../client/shared/login.js";
import { majorText, parseCount, parsePrice, PRICE_MAX } from "../../client/shared/price.js";

test("a price is read exactly, by the currency's own number of decimals", () => {
  /** @type {[string, string, number][]} */
  const prices = [
    ["24", "USD", 2400], ["24.5", "USD", 2450], ["24.50", "USD", 2450], ["24,50", "EUR", 2450], [" 0.07 ", "USD", 7],
    ["1.10", "USD", 110], ["4.35", "USD", 435], ["1980", "JPY", 1980], ["1.234", "KWD", 1234], ["0010", "USD", 1000],
    ["10000000", "USD", PRICE_MAX],
  ];
  for (const [text, currency, minor] of prices) assert.deepEqual(parsePrice(text, currency), { minor }, `${text} ${currency}`);
});

test("a price that could be misread is refused with a sentence", () => {
  for (const [text, currency] of [
    ["", "USD"], ["abc", "USD"], ["-5", "USD"], ["1,234", "USD"], ["1,234.50", "USD"], ["1 234", "USD"], ["24.505", "USD"],
    ["19.8", "JPY"], ["0", "USD"], ["0.00", "USD"], ["10000000.01", "USD"], ["1e3", "USD"], ["٢٤", "USD"], [".5", "USD"], ["$5", "USD"],
  ]) {
    const read = parsePrice(text, currency);
    assert.match("error" in read ? read.error : "", /\w.*\.$/, `${text} ${currency}`);
  }
});

test("every minor amount survives the way to the field and back", () => {
  for (const currency of ["USD", "JPY", "KWD"]) {
    for (const minor of [1, 9, 10, 99, 100, 101, 435, 1005, 123456, 999_999_999]) {
      assert.deepEqual(parsePrice(majorText(minor, currency), currency), { minor });
    }
  }
});

test("money leaves out decimals that say nothing", () => {
  assert.equal(money(2400, "USD"), "$24");
  assert.equal(money(2450, "USD"), "$24.50");
  assert.equal(money(1980, "JPY"), "¥1,980");
  assert.deepEqual(["USD", "JPY", "KWD"].map(exponentOf), [2, 0, 3]);
});

test("counts are whole numbers and nothing else", () => {
  assert.deepEqual(["1", " 12 ", "0", "-1", "1.5", "", "1e3"].map((text) => parseCount(text)), [1, 12, null, null, null, null, null]);
  assert.equal(parseCount("0", 0), 0);
});

test("a drop's form becomes the call's body, or says what is wrong", () => {
  const product = { id: "p", sku: "S", title: "T", image: null, price: 1, currency: "USD", variants: [] };
  const units = [{ variant: "a", text: "5" }, { variant: "b", text: "" }, { variant: "c", text: "0" }];
  assert.deepEqual(dropBody(product, "24.50", "2", units), {
    body: { product: "p", price: 2450, currency: "USD", stock: [{ variant: "a", quantity: 5 }], limit: 2 },
  });
  for (const [price, limit, text] of [["x", "1", "5"], ["1", "0", "5"], ["1", "1", "0"], ["1", "1", "two"]]) {
    assert.ok("error" in dropBody(product, price, limit, [{ variant: "a", text }]));
  }
});

test("signing in leads back only to a path of this origin", () => {
  const origin = "https://shop.example";
  for (const path of ["/", "/s/evening", "/orders?after=a#b", "/s/%E2%82%AC"]) assert.equal(safeNext(path, origin), path);
  for (const path of [
    null, "", "s/x", "//evil.example", "/\\evil.example", "/\t/evil.example", "/\n//evil.example", "/.//evil.example",
    "/x/..//evil.example", "https://evil.example", "javascript:alert(1)", "\\\\evil.example", " //evil.example",
  ]) assert.equal(safeNext(path, origin), "/", String(path));
});
