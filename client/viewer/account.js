// @ts-check
/** One's own account: name, address, password, where one is signed in, and leaving. */
import { ApiError, get, post } from "../shared/api.js";
import { byId, say } from "../shared/dom.js";
import { tell, tend } from "../shared/form.js";
import { loginFor } from "../shared/login.js";
import { t } from "../shared/texts.js";
import { showSessions } from "./sessions.js";
import "./top.js";

/** @param {{name: string, email: string, role: string}} user */
function show(user) {
  say(byId("who"), t("account.who", { name: user.name, email: user.email }));
  say(byId("signed-in-name"), user.name);
  byId("host-link").hidden = user.role === "viewer";
  byId("name").value = user.name;
  byId("user-name").value = user.email;
}

tend(byId("name-form"), t("form.saving"), async (values) => {
  show((await post("/api/account/name", values)).user);
  tell(byId("name-form"), t("account.saved"), "good");
});

tend(byId("email-form"), t("form.sending"), async (values) => {
  const email = (values.email ?? "").trim();
  await post("/api/account/email", { ...values, email });
  say(byId("sent-to"), email);
  byId("email-form").reset();
  byId("code-form").hidden = false;
  byId("code").focus();
});

tend(byId("code-form"), t("form.moment"), async (values) => {
  show((await post("/api/account/email/confirm", values)).user);
  byId("code-form").reset();
  byId("code-form").hidden = true;
  tell(byId("email-form"), t("account.email_done"), "good");
  byId("email").focus();
});

tend(byId("password-form"), t("form.saving"), async (values) => {
  show((await post("/api/account/password", values)).user);
  byId("password-form").reset();
  showSessions(byId("sessions"));
  tell(byId("password-form"), t("account.password_done"), "good");
});

tend(byId("delete-form"), t("account.deleting"), async (values) => {
  await post("/api/account/delete", values);
  location.replace("/");
});

byId("sign-out").addEventListener("click", async () => {
  try {
    await post("/api/logout");
    location.assign("/");
  } catch (error) {
    say(byId("note"), /** @type {Error} */ (error).message);
  }
});

async function load() {
  try {
    show((await get("/api/me")).user);
    byId("all").hidden = false;
    say(byId("note"), "");
    showSessions(byId("sessions"));
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) location.replace(loginFor("/account"));
    else say(byId("note"), /** @type {Error} */ (error).message);
  }
}
load();
