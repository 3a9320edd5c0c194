// @ts-check
/** The texts a test's pages speak: those of `client/texts/`. Import it before what says them. */
import { readFileSync } from "node:fs";
import { useTexts } from "../../client/shared/texts.js";

/** @param {string} name */
export function speak(name, tag = name) {
  useTexts(JSON.parse(readFileSync(new URL(`../../client/texts/${name}.json`, import.meta.url), "utf8")), tag);
}

speak("en", "en-US");
