// @ts-check
/** Other sites: which may show the stream, and what they put into their pages. */
import { post } from "../shared/api.js";
import { byId, say } from "../shared/dom.js";
import { run } from "./commands.js";

/**
 * The origins that a host wrote, one a line; commas and spaces part them, too. What stands behind an address's host is
 * left off, for people copy the address of a page. What is no address stays as it is, for the server to name.
 * @param {string} written
 * @returns {string[]}
 */
export function originsIn(written) {
  const words = written.split(/[\s,]+/).filter(Boolean);
  const isPage = (/** @type {string} */ word) => /^https?:\/\/[^/?#*@]+(?:[/?#]|$)/i.test(word) && URL.canParse(word);
  return [...new Set(words.map((word) => (isPage(word) ? new URL(word).origin : word)))];
}

/**
 * What a page takes over.
 * @param {string} shop the shop's origin
 * @param {string} slug
 */
export function codeFor(shop, slug) {
  return `<script type="module" src="${shop}/embed.js"></script>

<div style="position: relative">
  <!-- your video player -->
  <dropcast-overlay stream="${slug}"></dropcast-overlay>
</div>`;
}

let painted = "";

/**
 * Wires the section up.
 * @param {() => string} slug the stream that is being shown
 * @param {(slug: string, origins: string[]) => void} saved a stream's list is this now
 */
export function wireEmbedding(slug, saved) {
  const note = byId("embed-note");
  byId("embed-form").addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    const stream = slug();
    const path = `/api/host/streams/${encodeURIComponent(stream)}/embed`;
    const origins = originsIn(byId("embed-origins").value);
    say(note, "");
    const answer = await run(byId("save-embed"), byId("embed-error"), "Saving…", () => post(path, { origins }));
    if (!answer) return;
    saved(stream, answer.origins);
    if (stream !== slug()) return;
    byId("embed-origins").value = answer.origins.join("\n");
    say(note, answer.origins.length ? `Saved: ${answer.origins.join(", ")}` : "Saved: no other site shows this stream.");
  });
  byId("copy-embed").addEventListener("click", async () => {
    const code = byId("embed-code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      say(byId("copy-note"), "Copied.");
    } catch {
      getSelection()?.selectAllChildren(code);
      say(byId("copy-note"), "The browser does not let us copy. The code is selected: copy it by hand.");
    }
  });
}

/**
 * Shows a stream's section; what the host is typing stays until another stream is turned to.
 * @param {string} slug
 * @param {string[]} origins
 */
export function paintEmbedding(slug, origins) {
  if (painted === slug) return;
  painted = slug;
  byId("embed-origins").value = origins.join("\n");
  for (const id of ["embed-note", "embed-error", "copy-note"]) say(byId(id), "");
  say(byId("embed-code"), codeFor(location.origin, slug));
}
