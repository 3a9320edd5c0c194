// @ts-check
/** A new password: address, then the code of the mail with the password. */
import { byId } from "../shared/dom.js";
import { askThenProve } from "../shared/prove.js";
import "./top.js";

askThenProve({ ask: "/api/forgot", again: "/api/forgot", prove: "/api/reset" });
byId("email").focus();
