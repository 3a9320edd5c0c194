// @ts-check
/** What live streams are selling at this moment. One small question a stream, so only for the few that are in sight. */
import { get } from "../shared/api.js";

/** Streams that are asked at the most. */
export const ASKED_MAX = 4;

/**
 * The drop a stream's page would show first: the newest of those that one can buy from.
 * @param {{drops: import("../shared/reduce.js").Drop[]}} whole as `GET /api/streams/{stream}` answers
 * @returns {import("../shared/reduce.js").Drop | null}
 */
export function onSale({ drops }) {
  return drops.filter((drop) => drop.status === "open").at(-1) ?? null;
}

/**
 * The stream whole, or null when it cannot be had: then nothing is said about it.
 * @param {string} slug
 * @returns {Promise<{stream: import("../shared/reduce.js").Stream, drops: import("../shared/reduce.js").Drop[]} | null>}
 */
export async function whole(slug) {
  try {
    return await get(`/api/streams/${encodeURIComponent(slug)}`);
  } catch {
    return null;
  }
}

/**
 * The open drops of the first few live streams, by product.
 * @returns {Promise<Map<string, {slug: string, drop: import("../shared/reduce.js").Drop}>>}
 */
export async function soldLive() {
  const found = new Map();
  try {
    const { streams } = await get("/api/streams?status=live");
    for (const one of await Promise.all(streams.slice(0, ASKED_MAX).map((/** @type {any} */ { slug }) => whole(slug)))) {
      for (const drop of one?.drops ?? []) {
        if (drop.status === "open") found.set(drop.product, { slug: one?.stream.slug, drop });
      }
    }
  } catch {
    // the shop does not wait for this, and says nothing of it
  }
  return found;
}
