/** The program in docs/library.md runs as it is written, by the command that is written below it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** The first block of a language in a document. */
function firstBlock(text: string, language: string): string {
  const block = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "m").exec(text)?.[1];
  assert.ok(block, `no block of ${language}`);
  return block;
}

Deno.test("the library's example trains and answers in one line", async () => {
  // Not in memory, where Deno opens files with all permissions only.
  const dir = Deno.makeTempDirSync();
  try {
    const page = Deno.readTextFileSync(join(ROOT, "docs/library.md"));
    const program = firstBlock(page, "ts");
    const command = firstBlock(page, "sh").replaceAll("\\\n", " ").trim().split(/\s+/);
    assert.deepEqual(command.slice(0, 4), ["npx", "-y", "deno@2.9.6", "run"]);

    const module = new URL("../../mod.ts", import.meta.url).href;
    Deno.writeTextFileSync(join(dir, "example.ts"), program.replace("./mod.ts", module));
    const demo = "examples/demo";
    Deno.mkdirSync(join(dir, demo, "model"), { recursive: true });
    const names = [...Deno.readDirSync(join(ROOT, demo, "model"))].map(({ name }) => name);
    for (const name of [...names.map((name) => `model/${name}`), "train.jsonl"]) {
      Deno.copyFileSync(join(ROOT, demo, name), join(dir, demo, name));
    }

    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", ...command.slice(4)],
      cwd: dir,
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    assert.equal(code, 0, decoder.decode(stderr));
    const lines = decoder.decode(stdout).trimEnd().split("\n");
    assert.equal(lines.filter((line) => /^\d+\/30 \d+\.\d+$/.test(line)).length, 30);
    assert.match(lines.at(-1) ?? "", /[a-z]{4,}/i);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});
