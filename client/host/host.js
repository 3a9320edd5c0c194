// @ts-check
/** The host's page: choose or create a stream, see it live, run its drops. */
import { ApiError, get, post } from "../shared/api.js";
import { byId, make, mark, say } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { Link } from "../shared/link.js";
import { loginFor } from "../shared/login.js";
import { applyEvent, applyStock, fromWelcome, withViewers } from "../shared/reduce.js";
import { clearAdding, wireAdding } from "./add.js";
import { run } from "./commands.js";
import { paintEmbedding, wireEmbedding } from "./embed.js";
import { paintRows } from "./rows.js";

/**
 * @typedef {import("../shared/reduce.js").Stream} Stream
 * @typedef {Stream & {embed_origins?: string[]}} Listed as the host's own list has it; a new one has no list
 */

const SURE_MS = 4_000;
/** @type {Record<import("../shared/link.js").LinkState, string>} */
const LINK_WORDS = { connecting: "Connecting…", waiting: "Reconnecting…", live: "Connected", over: "Disconnected" };
/** @type {Record<Stream["status"], string>} */
const STREAM_WORDS = { scheduled: "Not started", live: "LIVE", ended: "Ended" };

/** @type {Listed[]} */
let streams = [];
let slug = "";
/** @type {Link | null} */
let link = null;
/** @type {import("../shared/reduce.js").StreamState | null} */
let state = null;
let painting = false;

async function begin() {
  try {
    const { user } = await get("/api/me");
    say(byId("account"), `${user.name} · ${user.role}`);
    if (user.role !== "host" && user.role !== "admin") {
      return say(byId("gate"), `This page is for hosts. You are signed in as ${user.name}, a ${user.role}.`);
    }
    streams = (await get("/api/host/streams")).streams;
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return location.replace(loginFor("/host"));
    return say(byId("gate"), /** @type {Error} */ (error).message);
  }
  byId("gate").hidden = true;
  byId("desk").hidden = false;
  byId("new-stream").open = streams.length === 0;
  paintStreams();
  const wanted = decodeURIComponent(location.hash.slice(1));
  const named = streams.find((one) => one.slug === wanted);
  const first = named ?? streams.find((one) => one.status !== "ended") ?? streams[0];
  if (first) show(first.slug);
}

/** Turns to one of the streams. @param {string} wanted */
function show(wanted) {
  link?.stop();
  slug = wanted;
  state = null;
  history.replaceState(null, "", `#${encodeURIComponent(slug)}`);
  clearAdding();
  byId("show").hidden = false;
  byId("rows").replaceChildren();
  say(byId("stream-error"), "");
  /** @type {Link} */
  const mine = new Link(slug, {
    frame: (frame) => link === mine && onFrame(frame),
    state: () => link === mine && paintSoon(),
  });
  link = mine;
  mine.start();
  paintStreams();
  paintSoon();
}

/** @param {any} frame */
function onFrame(frame) {
  if (frame.type === "welcome") state = fromWelcome(state, frame);
  else if (state && frame.type === "event") state = applyEvent(state, frame);
  else if (state && frame.type === "stock") state = applyStock(state, frame.stock);
  else if (state && frame.type === "tick") state = withViewers(state, frame.viewers);
  const now = state?.stream;
  const listed = streams.find((one) => one.slug === now?.slug);
  if (now && listed && listed.status !== now.status) {
    streams = streams.map((one) => (one === listed ? { ...listed, ...now } : one));
    paintStreams();
  }
  paintSoon();
}

function paintSoon() {
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => {
    painting = false;
    paint();
  });
}

function paint() {
  const stream = state?.stream ?? streams.find((one) => one.slug === slug);
  const status = link?.state ?? "connecting";
  const badge = byId("link-state");
  mark(badge, "data-state", status);
  say(badge, LINK_WORDS[status]);
  byId("link-warning").hidden = status === "live" || !state;
  if (!stream) return;
  say(byId("show-title"), stream.title);
  mark(byId("show-status"), "data-status", stream.status);
  say(byId("show-status"), STREAM_WORDS[stream.status]);
  const place = byId("show-link");
  place.href = `/s/${encodeURIComponent(stream.slug)}`;
  say(place, `/s/${stream.slug}`);
  byId("start-stream").hidden = stream.status !== "scheduled";
  byId("end-stream").hidden = stream.status !== "live";
  say(byId("viewers"), state && stream.viewers > 0 ? count(stream.viewers) : "–");
  const open = state?.drops.filter((drop) => drop.status === "open") ?? [];
  const left = open.reduce((sum, drop) => sum + drop.variants.reduce((some, variant) => some + variant.left, 0), 0);
  say(byId("left"), open.length ? count(left) : "–");
  paintRows(state?.drops ?? []);
  paintEmbedding(slug, streams.find((one) => one.slug === slug)?.embed_origins ?? []);
  // Until the welcome nobody knows whether there are drops.
  if (!state) byId("no-drops").hidden = true;
}

function paintStreams() {
  byId("streams").replaceChildren(...streams.map((one) => {
    const props = { type: "button", "data-slug": one.slug, onclick: () => one.slug !== slug && show(one.slug) };
    const button = make("button", props, `${one.title} · ${STREAM_WORDS[one.status]}`);
    if (one.slug === slug) button.setAttribute("aria-current", "true");
    return make("li", {}, button);
  }));
}

byId("create-form").addEventListener("submit", async (/** @type {Event} */ event) => {
  event.preventDefault();
  const problem = byId("create-error");
  const video = byId("stream-video").value.trim() || null;
  const wish = { slug: byId("stream-slug").value.trim(), title: byId("stream-title").value.trim(), video };
  if (!wish.title) return say(problem, "Give the stream a title.");
  if (!wish.slug) return say(problem, "Give the stream an address, like evening-show.");
  const answer = await run(byId("create-stream"), problem, "Creating…", () => post("/api/host/streams", wish));
  if (!answer) return;
  streams = [answer.stream, ...streams.filter((one) => one.slug !== answer.stream.slug)];
  byId("create-form").reset();
  slugTouched = false;
  byId("new-stream").open = false;
  show(answer.stream.slug);
});

let slugTouched = false;
byId("stream-slug").addEventListener("input", () => (slugTouched = true));
byId("stream-title").addEventListener("input", () => {
  if (slugTouched) return;
  const plain = byId("stream-title").value.normalize("NFKD").replace(/[^\w\s-]/g, "").trim().toLowerCase();
  byId("stream-slug").value = plain.replace(/[\s_-]+/g, "-").slice(0, 64);
});

/** @param {"start" | "end"} verb @param {string} doing */
function command(verb, doing) {
  const path = `/api/host/streams/${encodeURIComponent(slug)}/${verb}`;
  return run(byId(`${verb}-stream`), byId("stream-error"), doing, () => post(path));
}

byId("start-stream").addEventListener("click", () => command("start", "Starting…"));
let sureUntil = 0;
byId("end-stream").addEventListener("click", () => {
  const button = byId("end-stream");
  // Ending cannot be taken back, so it takes a second tap, in place.
  if (performance.now() < sureUntil) {
    sureUntil = 0;
    say(button, "End stream");
    return void command("end", "Ending…");
  }
  sureUntil = performance.now() + SURE_MS;
  say(button, "Tap again to end");
  setTimeout(() => performance.now() >= sureUntil && say(button, "End stream"), SURE_MS + 50);
});

wireAdding(() => slug);
wireEmbedding(() => slug, (saved, origins) => {
  streams = streams.map((one) => (one.slug === saved ? { ...one, embed_origins: origins } : one));
});
begin();
