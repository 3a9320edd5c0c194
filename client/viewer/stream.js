// @ts-check
/** The stream page: the video is the page, the overlay stands on it. */
import { DropcastOverlay } from "../overlay/overlay.js";
import "../shared/install.js";
import { byId, say } from "../shared/dom.js";
import { when } from "../shared/format.js";
import { loginFor } from "../shared/login.js";
import { t } from "../shared/texts.js";
import { Player } from "./video.js";

const slug = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const video = byId("video");
customElements.define("dropcast-overlay", DropcastOverlay);
const overlay = /** @type {DropcastOverlay} */ (byId("overlay"));
let [playing, failed, painting] = [false, false, false];

const player = new Player(video, (now, gaveUp) => {
  [playing, failed] = [now, gaveUp];
  soon();
});

/** At most once a frame, and not at all in a tab that is not shown. */
function soon() {
  if (painting) return;
  painting = true;
  requestAnimationFrame(paint);
}

function paint() {
  painting = false;
  const { state, link, closeCode } = overlay.show;
  byId("slate").hidden = playing;
  byId("sound").hidden = !playing;
  byId("title").classList.toggle("over-video", playing);
  const over = link.state === "over";
  byId("see-all").hidden = !over && state?.stream.status !== "ended";
  if (!state) return say(byId("slate-note"), over ? "" : t("stream.connecting"));
  const { stream } = state;
  const ended = stream.status === "ended" || closeCode === 4503;
  document.title = `${stream.title} · Dropcast`;
  say(byId("title"), stream.title);
  say(byId("slate-title"), stream.title);
  say(byId("slate-host"), t("stream.with", { host: stream.host }));
  say(byId("slate-mark"), [...stream.host][0]?.toUpperCase() ?? "");
  say(byId("slate-note"), slateNote(stream, ended));
  const coming = stream.status === "scheduled" && stream.starts_at !== null;
  byId("calendar").hidden = !coming;
  if (coming) byId("calendar").href = `/api/streams/${encodeURIComponent(slug)}/calendar`;
  player.show(ended ? null : stream.video);
}

/** @param {import("../shared/reduce.js").Stream} stream @param {boolean} ended */
function slateNote(stream, ended) {
  if (ended) return t("stream.ended");
  if (stream.status === "scheduled") {
    return stream.starts_at ? t("stream.starts_at", { time: when(stream.starts_at) }) : t("stream.soon");
  }
  return failed ? t("stream.no_video") : "";
}

/** Comes back from signing in to the very drop, with the choice that was made. */
function pickFromAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const drop = wanted.get("drop");
  if (!drop) return;
  overlay.pick({ drop, variant: wanted.get("variant") ?? "", quantity: Math.max(1, Number(wanted.get("quantity")) || 1) });
  history.replaceState(null, "", location.pathname + location.search);
}

overlay.signIn = ({ drop, variant, quantity }) => {
  const choice = new URLSearchParams({ drop, variant, quantity: String(quantity) });
  location.assign(loginFor(`/s/${encodeURIComponent(slug)}${drop ? `#${choice}` : ""}`));
};
overlay.history = async () => {
  const { get } = await import("../shared/api.js");
  const { orders } = await get(`/api/orders?stream=${encodeURIComponent(slug)}`);
  return orders.map((/** @type {any} */ order) => ({ ...order, at: order.placed_at }));
};
overlay.addEventListener("change", soon);
byId("sound").addEventListener("click", () => {
  video.muted = !video.muted;
  say(byId("sound"), video.muted ? t("stream.sound_off") : t("stream.sound_on"));
});
overlay.begin(slug);
pickFromAddress();
