/** What doctor finds, and what it advises. */

import assert from "node:assert/strict";
import { adviceFor } from "../../cli/commands/doctor.ts";
import { runCli } from "./run_cli.ts";

async function doctor(...permissions: string[]) {
  const options = { permissions: ["--no-prompt", ...permissions] };
  const { code, stdout, stderr } = await runCli(["doctor", "--json"], options);
  assert.deepEqual([code, stderr], [0, ""]);
  return JSON.parse(stdout);
}

Deno.test("doctor finds the WASM engine and says what is missing", async () => {
  const { hosts, permissions, advice } = await doctor();
  assert.deepEqual(hosts.map(({ host }: { host: string }) => host), ["native", "wasm"]);
  assert.equal(hosts[1].usable, true);
  assert.deepEqual([permissions.write, permissions.env], ["not granted", "not granted"]);
  assert.ok(advice.includes("add --allow-write for the run folder"));
});

Deno.test("doctor takes the variables that are looked at for all of the environment", async () => {
  const some = await doctor("--allow-env=NO_COLOR");
  assert.equal(some.permissions.env, "partly");
  const all = "SPIEL_NATIVE_LIB,SPIEL_DEBUG,NO_COLOR,XDG_RUNTIME_DIR,LOG_TOKENS,LOG_STREAM";
  assert.equal((await doctor(`--allow-env=${all}`)).permissions.env, "granted");
});

Deno.test("drivers have no complaint where nobody is logged in to a desktop", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const env = { ...Deno.env.toObject() };
  delete env["XDG_RUNTIME_DIR"];
  const run = ["run", "--quiet", "--no-check", "--no-prompt", "--allow-read"];
  const permitted = ["--allow-ffi", "--allow-env=XDG_RUNTIME_DIR"];
  const main = new URL("../../cli/main.ts", import.meta.url).pathname;
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...run, ...permitted, main, "doctor"],
    clearEnv: true,
    env,
  }).output();
  assert.equal(new TextDecoder().decode(stderr), "");
});

Deno.test("doctor advises what can be done where the program is", () => {
  const hosts = (native: boolean, wasm: boolean) =>
    [{ host: "native", usable: native }, { host: "wasm", usable: wasm }] as const;
  const granted = { read: "granted", write: "granted", ffi: "granted" };
  const all = (isClone: boolean) =>
    [hosts(false, false), hosts(true, true)].flatMap((some) => adviceFor(some, granted, isClone));
  assert.ok(all(true).every((line) => line.includes("npx -y deno@2.9.6 task ")), all(true).join());
  assert.ok(!all(false).some((line) => line.includes(" task ")), all(false).join());
  const [first] = adviceFor(hosts(false, true), { ...granted, ffi: "not granted" }, true);
  assert.match(first ?? "", /^add --allow-ffi /);
});
