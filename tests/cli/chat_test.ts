/** A conversation in a terminal: turns, one that is too long, and its end. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { TinyFolder } from "./tiny_folder.ts";

const MAIN = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

/** The program of util-linux that gives a command a terminal. */
const SCRIPT = "/usr/bin/script";
const hasTerminal = Deno.build.os === "linux" &&
  await Deno.stat(SCRIPT).then(() => true, () => false);

/** Types each text once what comes before it has been seen, and keeps the terminal open until the end. */
async function converse(model: string, turns: readonly [seen: RegExp, typed: string][]) {
  const command = [
    ...[Deno.execPath(), "run", "--quiet", "--no-check", "--allow-all", MAIN, "generate"],
    ...["--model", model, "--host", "wasm", "--max-new-tokens", "4"],
  ];
  const child = new Deno.Command(SCRIPT, {
    args: ["--quiet", "--return", "--command", command.join(" "), "/dev/null"],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    // One that does not end is a failure, not a wait.
    signal: AbortSignal.timeout(60_000),
  }).spawn();
  const writer = child.stdin.getWriter();
  const left = [...turns];
  let shown = "";
  let since = 0;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    shown += text;
    if (!left[0]?.[0].test(shown.slice(since))) continue;
    since = shown.length;
    await writer.write(new TextEncoder().encode(left.shift()?.[1]));
  }
  const { code } = await child.status;
  await writer.abort();
  return { code, shown };
}

Deno.test("a conversation goes on after a turn that is too long, and an empty line ends it", {
  ignore: !hasTerminal,
}, async () => {
  using folder = new TinyFolder();
  const { code, shown } = await converse(folder.model, [
    [/ends the conversation\s+> $/, "say 1\n"],
    [/> $/, `${"long ".repeat(40)}\n`],
    [/left out\s+> $/, "say 2\n"],
    [/> $/, "\n"],
  ]);
  assert.equal(code, 0, shown);
  assert.match(shown, /warning: The prompt has \d+ tokens; .* the message was left out/);
  assert.equal(shown.match(/^> /gm)?.length, 4, shown);
});
