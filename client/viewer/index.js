// @ts-check
/** The front page: streams that are live or coming. */
import { get } from "../shared/api.js";
import { byId, make, say } from "../shared/dom.js";
import { count, when } from "../shared/format.js";
import { pagedList } from "../shared/pages.js";

/** @param {import("../shared/reduce.js").Stream} stream */
function tile(stream) {
  const live = stream.status === "live";
  const starts = stream.starts_at ? `Starts ${when(stream.starts_at)}` : "Coming";
  const watching = stream.viewers > 0 ? `${count(stream.viewers)} watching` : "";
  const main = make("span", { className: "tile-main" },
    make("span", { className: "tile-title" }, stream.title),
    make("br"),
    make("span", { className: "tile-note" }, [`with ${stream.host}`, live ? watching : ""].filter(Boolean).join(" · ")));
  const badge = make("span", { className: live ? "badge is-live" : "badge" }, live ? "LIVE" : starts);
  const place = `/s/${encodeURIComponent(stream.slug)}`;
  return make("li", {}, make("a", { className: "tile", href: place }, main, badge));
}

async function account() {
  try {
    const { user } = await get("/api/me");
    say(byId("account"), user.name);
    byId("account").hidden = false;
    byId("host-link").hidden = user.role === "viewer";
  } catch {
    byId("sign-in-link").hidden = false;
  }
}

account();
pagedList("/api/streams", "streams", tile);
