/** Whole runs by the command line on a tiny model: what they print, leave behind, and how they go on. */

import assert from "node:assert/strict";
import { cliCommand, type Finished, refusalProblem, runCli } from "./run_cli.ts";
import { TinyFolder } from "./tiny_folder.ts";

function good(finished: Finished): Finished {
  assert.equal(finished.code, 0, finished.stderr);
  return finished;
}

const exists = (path: string) => {
  try {
    return Deno.statSync(path) !== undefined;
  } catch {
    return false;
  }
};

Deno.test("a run leaves its folder, with every value and where it came from", async () => {
  using folder = new TinyFolder();
  const config = folder.write("run.yaml", "lr: 0.01\nseed: 7\nkeep: 2\n");
  const args = folder.trainArgs("run", "--config", config, "--set", "keep=1", "--seed", "8");
  const { stdout, stderr } = good(await runCli([...args, "--eval-data", folder.data]));
  assert.match(stderr, /^warning: 16 of the 16 held-out examples are trained on as well.*\n$/);
  assert.match(stdout, /held-out loss {2}\d+\.\d{4} -> \d+\.\d{4}/);
  assert.match(stdout, /done after 6 steps/);
  for (const name of ["adapter/adapter_config.json", "metrics.jsonl", "report.html"]) {
    assert.ok(exists(folder.at(`run/${name}`)), name);
  }
  const recorded = JSON.parse(Deno.readTextFileSync(folder.at("run/config.json")));
  assert.deepEqual(recorded.lr, { value: 0.01, origin: `${config}:1` });
  assert.deepEqual(recorded.seed, { value: 8, origin: "flag" });
  assert.deepEqual(recorded.keep, { value: 1, origin: "set" });
  assert.deepEqual(recorded.beta1, { value: 0.9, origin: "default" });
});

Deno.test("--json prints the lines of metrics.jsonl and nothing else", async () => {
  using folder = new TinyFolder();
  const args = folder.trainArgs("run", "--eval-data", folder.data, "--json", "--log-every", "4");
  const { stdout, stderr } = good(await runCli(args));
  const events = stdout.trimEnd().split("\n").map((line) => JSON.parse(line).event);
  assert.deepEqual([events[0], events.at(-1)], ["eval", "done"]);
  assert.equal(stdout, Deno.readTextFileSync(folder.at("run/metrics.jsonl")));
  assert.match(stderr, /done after 6 steps/);
});

Deno.test("a dry run shows the memory plan and leaves nothing", async () => {
  using folder = new TinyFolder();
  const { stdout } = good(await runCli(folder.trainArgs("run", "--dry-run")));
  assert.match(stdout, /total +\d+\.\d MiB/);
  assert.match(stdout, /\n\S+train\.jsonl:1, as it is trained on:\n(.*\n)*\{\+it is 0/);
  assert.match(stdout, /\nthe steps take about [\d.]+ s, by 4 micro-batches that were computed/);
  assert.match(stdout, /dry run: nothing was trained/);
  assert.ok(!exists(folder.at("run")));
});

Deno.test("a dry run plans a model that has yet to get its weights, and no other run starts on it", async () => {
  using folder = new TinyFolder();
  const whole = good(await runCli(folder.trainArgs("run", "--dry-run", "--json"))).stdout;
  Deno.removeSync(`${folder.model}/model.safetensors`);
  const { stdout, stderr } = good(await runCli(folder.trainArgs("run", "--dry-run", "--json")));
  assert.match(stderr, /^warning: .*model has no weights yet; they are planned as f32/m);
  assert.deepEqual(JSON.parse(stdout), { ...JSON.parse(whole), estimated_s: null });
  const refused = await runCli(folder.trainArgs("run"));
  assert.equal(refusalProblem(refused, 65, /has neither model\.safetensors nor/), undefined);
});

Deno.test("a dry run with --json prints the plan as one object", async () => {
  using folder = new TinyFolder();
  const args = folder.trainArgs("run", "--dry-run", "--json", "--eval-data", folder.data);
  const { stdout, stderr } = good(await runCli(args));
  assert.match(stderr, /dry run: nothing was trained/);
  assert.match(stdout, /^[^\n]+\n$/);
  const plan = JSON.parse(stdout);
  assert.equal(plan.event, "plan");
  assert.equal(plan.steps, 6);
  assert.equal(plan.host, "wasm");
  assert.equal(plan.train.examples, 16);
  assert.deepEqual(plan.held_out, plan.train);
  assert.ok(plan.estimated_s > 0 && plan.estimated_s < 600);
  assert.equal(plan.mixture, null);
  assert.match(plan.sample.where, /train\.jsonl:1$/);
  assert.match(JSON.stringify(plan.sample.text), /"text":"it is 0[^"]*","trained":true/);
  const bytes = plan.memory.map((row: { bytes: number }) => row.bytes);
  assert.equal(bytes.reduce((sum: number, one: number) => sum + one, 0), plan.memory_bytes);
});

Deno.test("examples longer than the model was made for are a warning with the numbers", async () => {
  using folder = new TinyFolder();
  const long = folder.write("long.jsonl", `{"text":"${"word ".repeat(40)}"}\n`);
  const lengths = ["--max-length", "180", "--micro-batch-tokens", "180"];
  const args = (data: string) => folder.trainArgs("run", ...lengths, "--data", data, "--dry-run");
  const { stderr } = good(await runCli(args(long)));
  assert.match(
    stderr,
    /^warning: max_length 180 lets .* of up to 180 tokens .*_embeddings is 128/m,
  );
  assert.equal(good(await runCli(args(folder.data))).stderr, "");
});

Deno.test("a run starts from an adapter, with a warning where it is another model's", async () => {
  using folder = new TinyFolder();
  good(await runCli(folder.trainArgs("first")));
  const adapter = folder.at("first/adapter");
  const config = `${adapter}/adapter_config.json`;
  const args = (out: string) =>
    folder.trainArgs(out, "--adapter", adapter).filter((arg) => !/^(--density|0\.05)$/.test(arg));
  assert.equal(good(await runCli(args("second"))).stderr, "");
  const text = Deno.readTextFileSync(config);
  Deno.writeTextFileSync(config, text.replace(/"base_model_hash": "./, '"base_model_hash": "x'));
  const { stderr } = good(await runCli(args("third")));
  assert.match(stderr, /^warning: Adapter ".*first\/adapter" was trained on another base model/);
});

Deno.test("--resume begins a run that is not there, and a run that is there needs it", async () => {
  using folder = new TinyFolder();
  good(await runCli(folder.trainArgs("run", "--resume")));
  const again = await runCli(folder.trainArgs("run"));
  assert.equal(again.code, 64);
  assert.match(again.stderr, /already holds a run; go on with it by --resume/);
  const other = await runCli(folder.trainArgs("run", "--resume", "--lr", "0.5"));
  assert.equal(other.code, 64);
  assert.match(other.stderr, /Cannot resume .* with another lr/);
});

/** Starts a run, interrupts it once it has made some steps, and waits for its end. */
async function interrupt(args: readonly string[], signal: Deno.Signal): Promise<Finished> {
  const child = cliCommand([...args, "--json"]).spawn();
  const decoder = new TextDecoder();
  let stdout = "";
  const stderr = new Response(child.stderr).text();
  for await (const chunk of child.stdout) {
    const before = stdout.includes('"step":5,');
    stdout += decoder.decode(chunk);
    if (!before && stdout.includes('"step":5,')) child.kill(signal);
  }
  const { code } = await child.status;
  return { code, stdout, stderr: await stderr };
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`${signal} stops at a step with a checkpoint, and --resume ends as if nothing was`, async () => {
    using folder = new TinyFolder();
    const more = ["--max-steps", "120", "--eval-data", folder.data, "--log-every", "5"];
    const argsOf = (out: string) => folder.trainArgs(out, ...more);
    const stopped = await interrupt(argsOf("stopped"), signal);
    assert.equal(stopped.code, 75, stopped.stderr);
    assert.match(stopped.stderr, /warning: stopping after this step and saving/);
    assert.match(
      stopped.stderr,
      /^stopped: after step \d+, as asked; .* same command with --resume goes on$/m,
    );
    assert.match(Deno.readTextFileSync(folder.at("stopped/report.html")), /can be resumed/);
    assert.ok(!stopped.stdout.includes('"event":"done"'));

    const resumed = good(await runCli([...argsOf("stopped"), "--resume", "--json"]));
    assert.match(resumed.stderr, /resumed after step \d+ from .*, \d.* into the run/);
    assert.match(resumed.stderr, /done after 120 steps in .*, resumed after step \d+/);
    const lines = Deno.readTextFileSync(folder.at("stopped/metrics.jsonl"));
    assert.equal(stopped.stdout + resumed.stdout, lines);
    const first = JSON.parse(lines.split("\n")[0] ?? "");
    assert.ok(resumed.stderr.includes(`held-out loss  ${first.loss.toFixed(4)} -> `));
    good(await runCli(argsOf("whole")));
    for (const { name } of Deno.readDirSync(folder.at("whole/adapter"))) {
      const [one, other] = ["whole", "stopped"].map((out) =>
        Deno.readFileSync(folder.at(`${out}/adapter/${name}`))
      );
      assert.deepEqual(other, one, name);
    }
  });
}

Deno.test("a trained adapter is evaluated, answers, is merged and inspected", async (test) => {
  using folder = new TinyFolder();
  good(await runCli(folder.trainArgs("run", "--eval-data", folder.data)));
  const adapter = folder.at("run/adapter");
  const merged = folder.at("merged");
  const host = ["--host", "wasm"];
  const lossOf = async (...args: string[]) => {
    const length = ["--max-length", "64"];
    const all = ["evaluate", "--data", folder.data, ...length, ...host, ...args, "--json"];
    const result = JSON.parse(good(await runCli(all)).stdout);
    assert.equal(result.examples, 16);
    return result.loss as number;
  };

  await test.step("evaluate agrees with the run", async () => {
    const lines = Deno.readTextFileSync(folder.at("run/metrics.jsonl")).trimEnd().split("\n");
    const evals = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === "eval");
    const losses = [
      await lossOf("--model", folder.model),
      await lossOf("--model", folder.model, "--adapter", adapter),
    ];
    assert.deepEqual(losses.map((loss) => loss.toFixed(5)), [
      evals[0].loss.toFixed(5),
      evals.at(-1).loss.toFixed(5),
    ]);
  });

  await test.step("merge saves a model that scores as model and adapter do", async () => {
    const files = ["--model", folder.model, "--adapter", adapter, "--out", merged];
    good(await runCli(["merge", ...files, "--dtype", "f32", ...host]));
    const [apart, whole] = [
      await lossOf("--model", folder.model, "--adapter", adapter),
      await lossOf("--model", merged),
    ];
    assert.ok(Math.abs(apart - whole) < 1e-5, `${apart} and ${whole}`);
  });

  await test.step("merge needs the folder that --out lies in, and says so", async () => {
    const files = ["--model", folder.model, "--adapter", adapter, "--out", folder.at("other/deep")];
    const permissions = ["--no-prompt", "--allow-read", `--allow-write=${folder.at("other/deep")}`];
    const refused = await runCli(["merge", ...files, ...host], { permissions });
    const words = new RegExp(`add --allow-write=${folder.at("other")} to the deno command`);
    assert.equal(refusalProblem(refused, 78, words), undefined);
  });

  await test.step("a base model other than the adapter's is a warning, which names both", async () => {
    const files = ["--model", merged, "--adapter", adapter];
    const warned = await runCli(["generate", ...files, "--prompt", "say 3", ...host]);
    assert.match(good(warned).stderr, /^warning: Adapter ".*" was trained on another base model/);
    const fitting = ["--model", folder.model, "--adapter", adapter];
    const quiet = await runCli(["generate", ...fitting, "--prompt", "say 3", ...host]);
    assert.equal(good(quiet).stderr, "");
  });

  await test.step("generate answers the same with the adapter and merged in", async () => {
    const ask = async (...model: string[]) =>
      good(
        await runCli(["generate", ...model, "--prompt", "say 3", "--max-new-tokens", "8", ...host]),
      ).stdout;
    const apart = await ask("--model", folder.model, "--adapter", adapter);
    assert.equal(await ask("--model", merged), apart);
    assert.ok(apart.length > 1);
  });

  await test.step("generate reads its prompt from standard input", async () => {
    const args = ["generate", "--model", merged, "--max-new-tokens", "8", ...host];
    const [typed, given] = [
      await runCli(args, { stdin: "say 3" }),
      await runCli([...args, "--prompt", "say 3"]),
    ];
    assert.equal(good(typed).stdout, good(given).stdout);
  });

  const KINDS: [path: string, kind: string][] = [
    [folder.model, "model"],
    [merged, "model"],
    [adapter, "adapter"],
    [folder.at("run"), "run"],
    [folder.at("run/checkpoints/step-00000006"), "checkpoint"],
    [folder.data, "data"],
    [`${folder.model}/model.safetensors`, "tensors"],
  ];
  for (const [path, kind] of KINDS) {
    await test.step(`inspect knows ${kind} ${path.slice(folder.path.length)}`, async () => {
      const { stdout } = good(await runCli(["inspect", path]));
      assert.ok(stdout.startsWith(`${kind} ${path}\n`), stdout);
      assert.equal(JSON.parse(good(await runCli(["inspect", path, "--json"])).stdout).kind, kind);
    });
  }

  await test.step("inspect names a run's result", async () => {
    const { stdout } = good(await runCli(["inspect", folder.at("run"), "--json"]));
    assert.equal(JSON.parse(stdout).output, adapter);
  });

  await test.step("inspect marks what is trained on", async () => {
    const args = ["inspect", folder.data, "--model", folder.model, "--rows", "1"];
    const { stdout } = good(await runCli(args));
    assert.match(stdout, /train\.jsonl:1: \d+ tokens, \d+ trained on\n/);
    assert.ok(stdout.includes("say 0<|end|>\n<|turn|>assistant\n{+it is 0<|end|>+}"), stdout);
  });
});
