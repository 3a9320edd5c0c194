// @ts-check
/** Sign in, then go back to where the viewer came from. */
import { post } from "../shared/api.js";
import { byId } from "../shared/dom.js";
import { tend } from "../shared/form.js";
import { safeNext } from "../shared/login.js";
import { t } from "../shared/texts.js";
import "./top.js";

tend(byId("form"), t("login.busy"), async ({ email = "", password }) => {
  try {
    await post("/api/login", { email: email.trim(), password });
  } catch (error) {
    byId("password").select();
    throw error;
  }
  location.assign(safeNext(new URLSearchParams(location.search).get("next"), location.origin));
  await new Promise(() => {}); // the button stays as it is until the next page is there
});
for (const id of ["register-link", "forgot-link"]) byId(id).search = location.search;
byId("email").focus();
