/** A second interrupt ends a command at once, and not without a word. */

import assert from "node:assert/strict";

const FIXTURE = new URL("interrupts_fixture.ts", import.meta.url).pathname;

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`a second ${signal} stops at once with code 75, after its words`, async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "--no-prompt", FIXTURE],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const decoder = new TextDecoder();
    let said = "";
    for await (const chunk of child.stdout) {
      const text = decoder.decode(chunk);
      said += text;
      if (!/working|stopping/.test(text)) continue;
      if (said.includes("stopping")) {
        // What a task runner repeats at once is no second interrupt.
        child.kill(signal);
        await new Promise((resolve) => setTimeout(resolve, 1500));
        assert.equal(said, "working\nstopping\n");
      }
      child.kill(signal);
    }
    const { code } = await child.status;
    assert.equal(code, 75);
    assert.equal(said, "working\nstopping\nfarewell\n");
  });
}
