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

/** The overlay with a viewer who has no cookie here. */
class EmbeddedOverlay extends DropcastOverlay {
  /** @type {Pass | null} */ #pass = null;
  #asked = false;

  /** @param {string} stream */
  begin(stream) {
    if (this.server !== location.origin && !this.ticket) {
      const pass = (this.#pass = new Pass(this.server, stream, tabStorage(), () => this.show?.link.reconnect()));
      this.ticket = () => pass.ticket();
      this.signIn = () => void pass.ask();
    }
    super.begin(stream);
    this.show.addEventListener("change", () => this.#doubt(stream));
  }

  /**
   * A browser does not say why a socket was refused. One that never opened, at a shop that answers, on a page that may
   * not read the stream: that page is not on the stream's list.
   * @param {string} stream
   */
  async #doubt(stream) {
    if (this.#asked || this.show.state || this.show.link.state !== "waiting") return;
    this.#asked = true;
    const readable = (/** @type {string | URL} */ at) => fetch(at, { cache: "no-store" }).then(() => true, () => false);
    const there = await readable(new URL("../texts/en.json", import.meta.url));
    const allowed = await readable(`${this.server}/api/streams/${encodeURIComponent(stream)}`);
    this.#asked = false;
    if (!there || allowed || this.show.state) return;
    const note = t("embed.refused_note", { origin: location.origin });
    this.excuse = /** @type {[string, string]} */ ([t("embed.refused"), note]);
    console.error(`Dropcast: ${location.origin} may not embed "${stream}". Its host adds this origin to the stream's list.`);
    this.show.stop();
  }

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

export { DropcastOverlay };
export { Show } from "../shared/show.js";
