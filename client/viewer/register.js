// @ts-check
/** Create an account: address, then the code of the mail, then on to where the viewer came from. */
import { byId } from "../shared/dom.js";
import { askThenProve } from "../shared/prove.js";
import "./top.js";

askThenProve({
  ask: "/api/register",
  again: "/api/resend",
  prove: "/api/verify",
  // the account gets the password typed here, whoever else has asked for this address meanwhile
  withCode: ({ password }) => ({ password }),
});
byId("name").focus();
