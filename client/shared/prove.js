// @ts-check
/** Two forms on one page: the first asks for a code by mail, the second proves that it came. */
import { post } from "./api.js";
import { byId, say } from "./dom.js";
import { refuse, tell, tend } from "./form.js";
import { safeNext } from "./login.js";
import { t } from "./texts.js";

/**
 * @typedef {object} Steps
 * @property {string} ask path that mails the first code
 * @property {string} again path that mails another
 * @property {string} prove path that takes the code
 * @property {(asked: import("./form.js").Values) => object} [withCode] more that goes with the code
 */

/**
 * Tends `#ask` and `#prove`, then leads to `?next=`.
 * @param {Steps} steps
 */
export function askThenProve({ ask, again, prove, withCode = () => ({}) }) {
  const [asking, proving] = [byId("ask"), byId("prove")];
  /** @type {import("./form.js").Values} */
  let asked = {};
  let email = "";

  tend(asking, t("form.sending"), async (values) => {
    email = (values.email ?? "").trim();
    asked = { ...values, email };
    await post(ask, asked);
    say(byId("sent-to"), email);
    show(proving, asking, byId("code"));
  });
  tend(proving, t("form.moment"), async (values) => {
    await post(prove, { email, ...withCode(asked), ...values });
    location.assign(safeNext(new URLSearchParams(location.search).get("next"), location.origin));
    await new Promise(() => {}); // the button stays as it is until the next page is there
  });
  byId("again").addEventListener("click", async () => {
    tell(proving, "");
    try {
      await post(again, { email });
      tell(proving, t("prove.sent_again"), "good");
      byId("code").value = "";
      byId("code").focus();
    } catch (error) {
      refuse(proving, error);
    }
  });
  byId("back").addEventListener("click", () => show(asking, proving, byId("email")));
  byId("login-link").search = location.search;
}

/** @param {any} shown @param {any} hidden @param {any} focus */
function show(shown, hidden, focus) {
  hidden.hidden = true;
  shown.hidden = false;
  focus.focus();
}
