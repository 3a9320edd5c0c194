// @ts-check
/** One's own account: name, address, password, where one is signed in, and leaving. */
import { ApiError, get, post } from "../shared/api.js";
import { byId, say } from "../shared/dom.js";
import { tell, tend } from "../shared/form.js";
import { loginFor } from "../shared/login.js";
import { showSessions } from "./sessions.js";

/** @param {{name: string, email: string}} user */
function show(user) {
  say(byId("who"), `Signed in as ${user.name}, ${user.email}`);
  byId("name").value = user.name;
  byId("user-name").value = user.email;
}

tend(byId("name-form"), "Saving…", async (values) => {
  show((await post("/api/account/name", values)).user);
  tell(byId("name-form"), "Saved.", "good");
});

tend(byId("email-form"), "Sending…", async (values) => {
  const email = (values.email ?? "").trim();
  await post("/api/account/email", { ...values, email });
  say(byId("sent-to"), email);
  byId("email-form").reset();
  byId("code-form").hidden = false;
  byId("code").focus();
});

tend(byId("code-form"), "One moment…", async (values) => {
  show((await post("/api/account/email/confirm", values)).user);
  byId("code-form").reset();
  byId("code-form").hidden = true;
  tell(byId("email-form"), "Your address is changed. The old one gets a mail about it.", "good");
  byId("email").focus();
});

tend(byId("password-form"), "Changing…", async (values) => {
  show((await post("/api/account/password", values)).user);
  byId("password-form").reset();
  showSessions(byId("sessions"));
  tell(byId("password-form"), "Your password is changed, and every other device is signed out.", "good");
});

tend(byId("delete-form"), "Deleting…", async (values) => {
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
