// @ts-check
/**
 * The overlay on another site's page:
 *
 *     <script type="module" src="https://shop.example/embed.js"></script>
 *     <div style="position: relative"><video …></video><dropcast-overlay stream="friday-show"></dropcast-overlay></div>
 *
 * It fills the nearest positioned element. Its language is the element's `lang`, else the browser's. A page that knows
 * its viewers by itself sets `ticket` to a function that gives a fresh ticket, before it puts the element in.
 */
import { DropcastOverlay } from "../overlay/overlay.js";
import { tabStorage } from "../shared/show.js";
import { t, useTexts } from "../shared/texts.js";
import { Pass } from "./pass.js";

/** @type {Record<string, string>} */
const LANGUAGES = { en: "en", es: "es", zh: "zh-Hans" };

/** The close code of a socket whose viewer, or page, may not be there (docs/protocol.md). */
const NOT_ALLOWED = 4501;

/** The overlay with a viewer who has no cookie here. */
class EmbeddedOverlay extends DropcastOverlay {
  /** @type {Pass | null} */ #pass = null;
  /** Whether the shop is being asked, or has said no. */ #asked = false;
  /** Whether a socket was closed as not allowed, since the last pass. */ #turnedAway = false;

  /** @override @param {string} stream */
  begin(stream) {
    if (this.server !== location.origin && !this.ticket) {
      const arrived = () => {
        this.#turnedAway = false;
        this.show.link.reconnect();
      };
      const pass = (this.#pass = new Pass(this.server, stream, tabStorage(), arrived));
      this.ticket = () => pass.ticket();
      this.signIn = () => void pass.ask();
    }
    super.begin(stream);
    this.show.addEventListener("change", () => this.#doubt(stream));
  }

  /**
   * A browser does not say why a socket was refused. One that did not open, at a shop that answers, on a page that may not
   * read the stream: that page is not on the stream's list. One that was closed as not allowed: the page was taken off the
   * list, or the session ended behind the viewer's pass, who is a guest then.
   * @param {string} stream
   */
  async #doubt(stream) {
    const { show } = this;
    const closed = show.closeCode === NOT_ALLOWED;
    const refused = show.link.state === "waiting" && (!show.state || this.#turnedAway);
    if (this.#asked || !(closed || refused)) return;
    this.#asked = true;
    const readable = (/** @type {string | URL} */ at) => fetch(at, { cache: "no-store" }).then(() => true, () => false);
    const there = await readable(new URL("../texts/en.json", import.meta.url));
    const allowed = await readable(`${this.server}/api/streams/${encodeURIComponent(stream)}`);
    this.#asked = false;
    if (there && !allowed && show.link.state !== "live") return this.#giveUp(stream);
    if (!closed || this.#turnedAway) return;
    this.#turnedAway = true;
    show.closeCode = null;
    show.start();
  }

  /** @param {string} stream */
  #giveUp(stream) {
    /** @type {[string, string]} */
    const words = [t("embed.refused"), t("embed.refused_note", { origin: location.origin })];
    this.excuse = words;
    console.error(`Dropcast: ${location.origin} may not embed "${stream}". Its host adds this origin to the stream's list.`);
    this.#asked = true; // for good
    this.show.state = null; // nothing of the stream is shown any more
    this.show.stop();
  }

  /** @override */
  disconnectedCallback() {
    super.disconnectedCallback();
    this.#pass?.close();
  }
}

const wanted = [document.querySelector("dropcast-overlay")?.getAttribute("lang") ?? "", ...navigator.languages];
const language = wanted.map((tag) => tag.split("-")[0] ?? "").find((name) => name in LANGUAGES) ?? "en";
const texts = await fetch(new URL(`../texts/${language}.json`, import.meta.url));
useTexts(await texts.json(), LANGUAGES[language] ?? "en");
customElements.define("dropcast-overlay", EmbeddedOverlay);

export { DropcastOverlay, Pass };
export { Show } from "../shared/show.js";
