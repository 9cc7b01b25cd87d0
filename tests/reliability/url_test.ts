/** The library and the command line from a URL, in an empty folder, with the permissions they document and no more. */

import assert from "node:assert/strict";
import { loadAdapter } from "../../src/adapter/load.ts";
import { TinyFolder } from "../cli/tiny_folder.ts";
import { StaticServer } from "./static_server.ts";

/** What a process printed, and its code. */
interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

/** A server, files to train on, and a module cache with the npm packages of this machine and nothing else. */
class Elsewhere implements AsyncDisposable {
  readonly server: StaticServer = new StaticServer();
  readonly files: TinyFolder = new TinyFolder();
  readonly #cache = this.files.at("cache");

  /** Makes the cache. */
  async begin(): Promise<this> {
    const info = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
    const { npmCache } = JSON.parse(new TextDecoder().decode(info.stdout));
    Deno.mkdirSync(this.#cache);
    Deno.symlinkSync(npmCache, `${this.#cache}/npm`);
    Deno.mkdirSync(this.files.at("empty"));
    return this;
  }

  /** Runs Deno in the empty folder. */
  async run(...args: string[]): Promise<Finished> {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", ...args],
      cwd: this.files.at("empty"),
      // Mesa's Vulkan drivers complain where they have no folder for sockets.
      env: { XDG_RUNTIME_DIR: "/tmp", DENO_DIR: this.#cache, NO_COLOR: "1" },
      stdin: "null",
    });
    const { code, stdout, stderr } = await command.output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    this.files[Symbol.dispose]();
  }
}

/** A program of a user of the library: its last line is what came of it. */
const program = (url: string, options: unknown) => `
import { runConfig, SpielError, trainRun } from ${JSON.stringify(url)};

const losses: number[] = [];
let host = "";
try {
  const { output, step } = await trainRun(runConfig(${JSON.stringify(options)}), {
    onEvent: (event) => {
      if (event.type === "opened") host = event.info.host;
      if (event.type === "step") losses.push(event.loss);
    },
  });
  console.log(JSON.stringify({ host, step, losses, output }));
} catch (error) {
  if (!(error instanceof SpielError)) throw error;
  console.log(JSON.stringify({ kind: error.kind, message: error.message }));
}
`;

Deno.test("the library from a URL trains with its documented permissions alone", async (t) => {
  await using elsewhere = await new Elsewhere().begin();
  const { server, files } = elsewhere;
  const out = files.at("run");
  const options = {
    model: files.model,
    data: [files.data],
    out,
    density: 0.05,
    lr: 0.02,
    maxSteps: 6,
    maxLength: 64,
    microBatchTokens: 64,
    reselectionSteps: 3,
    selectionAccumulationSteps: 1,
  };
  const write = (name: string, more = {}) =>
    files.write(`empty/${name}`, program(server.urlOf("mod.ts"), { ...options, ...more }));
  const script = write("train.ts");
  const withWorkers = write("workers.ts", { dataWorkers: 2 });
  const granted = {
    import: server.host,
    read: [files.model, files.data, out].join(","),
    write: out,
  };
  const runWith = (permissions: Readonly<Record<string, string>>, program = script) =>
    elsewhere.run(
      ...Object.entries(permissions).map(([name, value]) => `--allow-${name}=${value}`),
      program,
    );
  const resultOf = ({ code, stdout, stderr }: Finished) => {
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    return JSON.parse(stdout);
  };

  await t.step("it trains, on the WASM engine", async () => {
    const { host, step, losses, output } = resultOf(await runWith(granted));
    assert.deepEqual([host, step, output], ["wasm", 6, `${out}/adapter`]);
    assert.equal(losses.length, 6);
    assert.ok(losses.every(Number.isFinite));
    assert.ok(loadAdapter(output).modules.size > 0);
    assert.ok(server.asked.has("/mod.ts") && server.asked.has("/lib/spiel_engine_bg.wasm"));
    Deno.removeSync(out, { recursive: true });
  });

  await t.step("workers prepare its data as it does itself", async () => {
    const { losses } = resultOf(await runWith(granted));
    Deno.removeSync(out, { recursive: true });
    assert.deepEqual(resultOf(await runWith(granted, withWorkers)).losses, losses);
    assert.ok(server.asked.has("/src/data/prepare/worker.ts"));
    Deno.removeSync(out, { recursive: true });
  });

  const MISSING: [title: string, permissions: Record<string, string>, words: RegExp][] = [
    [
      "without the model",
      { ...granted, read: [files.data, out].join(",") },
      /model.* may not be read: add --allow-read/,
    ],
    [
      "without the data",
      { ...granted, read: [files.model, out].join(",") },
      /train\.jsonl.* may not be read: add --allow-read/,
    ],
    [
      "without reading the run folder",
      { ...granted, read: [files.model, files.data].join(",") },
      /run folder ".*run".*--allow-read/i,
    ],
    ["without writing", { ...granted, write: files.at("other") }, /run".*--allow-write/],
  ];
  for (const [title, permissions, words] of MISSING) {
    await t.step(`${title} it says what to add`, async () => {
      const { kind, message } = resultOf(await runWith(permissions));
      assert.match(message, words);
      assert.doesNotMatch(message, /\n/);
      assert.ok(kind === "environment" || kind === "storage", kind);
    });
  }

  await t.step("without importing Deno itself says what to add", async () => {
    const { import: _, ...others } = granted;
    const { code, stderr } = await runWith(others);
    assert.notEqual(code, 0);
    assert.match(stderr, /--allow-import/);
  });
});

Deno.test("the command line from a URL helps and trains", async (t) => {
  await using elsewhere = await new Elsewhere().begin();
  const { server, files } = elsewhere;
  const importing = `--allow-import=${server.host}`;
  const train = server.urlOf("cli/train.ts");

  await t.step("help needs no permission", async () => {
    const { code, stdout, stderr } = await elsewhere.run(importing, train, "--help");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /--reselection-steps/);
    assert.equal(stderr, "");
  });

  await t.step("training needs to read and write", async () => {
    const [, ...args] = files.trainArgs("run");
    const read = `--allow-read=${[files.model, files.data, files.at("run")].join(",")}`;
    const write = `--allow-write=${files.at("run")}`;
    const { code, stdout, stderr } = await elsewhere.run(importing, read, write, train, ...args);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /done after 6 steps/);

    const refused = await elsewhere.run(importing, read, train, ...args, "--resume");
    assert.ok(refused.code === 74 || refused.code === 78, `${refused.code}`);
    assert.match(refused.stderr, /^error: .*--allow-write.*\n$/);
  });
});
