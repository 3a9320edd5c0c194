// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { codeFor, originsIn } from "../../client/host/embed.js";

test("a host may paste addresses of pages, parted by whatever, and they become origins, each once", () => {
  const written = " https://Partner.example/shop?a=1#b\nhttps://partner.example:443, http://localhost:9000/x https://münchen.example";
  assert.deepEqual(originsIn(written), ["https://partner.example", "http://localhost:9000", "https://xn--mnchen-3ya.example"]);
  assert.deepEqual(originsIn(" \n "), []);
});

test("what is no address of a site is left as it is, for the server to name", () => {
  for (const one of ["partner.example", "javascript:alert(1)", "https://", "https://me@partner.example/", "ftp://a.b/"]) {
    assert.deepEqual(originsIn(one), [one]);
  }
});

test("the code to paste has the shop's script and the stream", () => {
  const code = codeFor("https://shop.example", "friday-show");
  assert.match(code, /<script type="module" src="https:\/\/shop\.example\/embed\.js"><\/script>/);
  assert.match(code, /<dropcast-overlay stream="friday-show"><\/dropcast-overlay>/);
});
