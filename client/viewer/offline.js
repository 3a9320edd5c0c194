// @ts-check
/** The page that says that one is offline: it stands in the place of the page that was asked for. */
import { byId } from "../shared/dom.js";

byId("again").addEventListener("click", () => location.reload());
addEventListener("online", () => location.reload());
