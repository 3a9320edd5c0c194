// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { againMs, isHls } from "../../client/viewer/video.js";

test("HLS is told by the path of an address, whatever else it has", () => {
  for (const yes of ["https://v.example/live/a.m3u8", "/video/a.M3U8", "https://v.example/a.m3u8?key=a.mp4#t=1"]) assert.ok(isHls(yes), yes);
  for (const no of ["https://v.example/a.mp4", "/video/a.mp4?from=b.m3u8", "https://m3u8.example/a", "/a.m3u8/b.mp4"]) assert.ok(!isHls(no), no);
});

test("tries come again after longer and longer waits, up to an end, and a crowd's are spread out", () => {
  const waits = [0, 1, 2, 3, 4, 100].map((tries) => againMs(tries, 0.5));
  assert.deepEqual(waits, [2_000, 5_000, 15_000, 30_000, 30_000, 30_000]);
  assert.equal(againMs(0, 0), 1_000);
  assert.ok(againMs(0, 0.999) > 2_900);
});
