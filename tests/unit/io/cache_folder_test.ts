/** Where the cache lies, by the variables that say it. */
import assert from "node:assert/strict";
import { cacheFolder } from "../../../src/io/cache_folder.ts";
import { assertRefuses } from "../../support/refuses.ts";

const HOME = Deno.build.os === "windows" ? "USERPROFILE" : "HOME";

Deno.test("the cache lies where its own variable says, else where caches lie", () => {
  const of = (variables: Record<string, string>) => cacheFolder((name) => variables[name]);
  const all = { SPIEL_CACHE: "/own", XDG_CACHE_HOME: "/xdg", [HOME]: "/home/me" };
  assert.equal(of(all), "/own");
  assert.equal(of({ ...all, SPIEL_CACHE: " " }), "/xdg/spiel");
  assert.equal(of({ [HOME]: "/home/me" }), "/home/me/.cache/spiel");
  assertRefuses(() => of({}), "environment", `${HOME} is not set`, "SPIEL_CACHE");
});
