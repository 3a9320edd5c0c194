// @ts-check
/** The page that says that one is offline: it stands in the place of the page that was asked for. */
import { byId } from "../shared/dom.js";

byId("again").addEventListener("click", () => location.reload());
// "online" means a network, not that the shop is reached by it: only who can have the page gets it
addEventListener("online", async () => {
  const answer = await fetch("/offline", { cache: "no-store" }).catch(() => null);
  if (answer?.ok) location.reload();
});
