/** Two hundred kills at random times: a run always goes on, from its last checkpoint, to the same end. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cliCommand } from "../cli/run_cli.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";
import { randomNumbers } from "../support/small_model.ts";
import { TinyRun } from "../support/tiny_run.ts";
import { assertSameRemains, type Remains, remainsOf, unfinishedNames } from "./interruption.ts";

const KILLS = 200;
const STEPS = 120;
const SAVE_EVERY = 4;

/** Two runs at a time keep two cores busy. */
const LANES = 2;

const place = HOSTED_DEVICES.find(({ ignore }) => !ignore);

/** Arguments of the run into a folder. */
function argsOf(tiny: TinyRun, out: string): string[] {
  const options: Record<string, string | number> = {
    "model": tiny.model,
    "data": tiny.data,
    "eval-data": tiny.heldOut,
    "out": out,
    "host": place!.host,
    "threads": 1,
    "num-deltas": 2000,
    "lr": 0.02,
    "max-steps": STEPS,
    "max-length": 48,
    "micro-batch-tokens": 64,
    "gradient-accumulation-steps": 2,
    "reselection-steps": 8,
    "selection-accumulation-steps": 3,
    "eval-every": 10,
    "save-every": SAVE_EVERY,
    "keep": 2,
  };
  const flags = Object.entries(options).flatMap(([key, value]) => [`--${key}`, `${value}`]);
  return [...flags, "--resume", "--json"];
}

/** How a process ended, and what it had told on standard output. */
interface Ended {
  killed: boolean;
  code: number;
  stderr: string;
}

/** Runs the command line; kills it `delay` milliseconds after its first metrics line, or after its start. */
async function runAndKill(
  tiny: TinyRun,
  out: string,
  kill: { after: "start" | "metrics"; delay: number } | null,
): Promise<Ended> {
  // Folders in memory may lie under /dev, which Deno opens with all permissions only.
  const options = { entry: "train.ts", permissions: ["--allow-all"] } as const;
  const child = cliCommand(argsOf(tiny, out), options).spawn();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const arm = () => timer ??= setTimeout(() => killIfRunning(child), kill?.delay);
  const ended = child.status.finally(() => clearTimeout(timer));
  if (kill?.after === "start") arm();
  const stderr = new Response(child.stderr).text();
  for await (const _chunk of child.stdout) if (kill?.after === "metrics") arm();
  const { code, signal } = await ended;
  return { killed: signal === "SIGKILL", code, stderr: await stderr };
}

/** A run may reach its end between the timer and the kill; Deno then throws a `TypeError`. */
function killIfRunning(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

/** What a folder holds after a kill: the last step that was told of, and the newest checkpoint's. */
interface Progress {
  told: number;
  saved: number;
}

/** Reads the progress and checks that everything under its final name is whole. */
function progressOf(folder: string): Progress {
  const names = entries(folder);
  const lines = names.includes("metrics.jsonl")
    ? Deno.readTextFileSync(`${folder}/metrics.jsonl`).split("\n").slice(0, -1)
    : [];
  const told = Math.max(0, ...lines.map((line) => JSON.parse(line).step as number));
  if (names.includes("config.json")) JSON.parse(Deno.readTextFileSync(`${folder}/config.json`));

  const checkpoints = `${folder}/checkpoints`;
  let saved = 0;
  for (const name of names.includes("checkpoints") ? entries(checkpoints) : []) {
    assert.doesNotMatch(name, /^corrupt-/);
    if (!name.startsWith("step-")) continue;
    verifyCheckpoint(`${checkpoints}/${name}`);
    saved = Math.max(saved, Number(name.slice("step-".length)));
  }
  return { told, saved };
}

/** Every file of a checkpoint has the size and digest that the manifest lists, and there are no others. */
function verifyCheckpoint(folder: string): void {
  const { files } = JSON.parse(Deno.readTextFileSync(`${folder}/manifest.json`)) as {
    files: Record<string, { size: number; sha256: string }>;
  };
  assert.deepEqual(entries(folder), [...Object.keys(files), "manifest.json"].sort());
  for (const [name, { size, sha256 }] of Object.entries(files)) {
    const bytes = Deno.readFileSync(`${folder}/${name}`);
    const digest = createHash("sha256").update(bytes).digest("hex");
    assert.deepEqual([bytes.length, digest], [size, sha256], `${folder}/${name}`);
  }
}

function entries(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** What a lane has done. */
interface Tally {
  kills: number;
  /** Kills after which a checkpoint was there to go on from. */
  midway: number;
  runs: number;
}

/** Kills and resumes runs, one after another, until it has killed `kills` times and the last run is complete. */
async function lane(
  tiny: TinyRun,
  expected: Remains,
  options: { name: string; kills: number; seed: number },
): Promise<Tally> {
  const random = randomNumbers(options.seed);
  const tally: Tally = { kills: 0, midway: 0, runs: 0 };
  while (tally.kills < options.kills) {
    const out = tiny.out(`${options.name}-${tally.runs++}`);
    let before: Progress = { told: 0, saved: 0 };
    for (let complete = false; !complete;) {
      // One kill in four may come before the first step, while files are opened and read.
      const after = random() < 0.25 ? "start" : "metrics";
      const delay = Math.floor(random() * (after === "start" ? 600 : 300));
      const { killed, code, stderr } = await runAndKill(
        tiny,
        out,
        tally.kills < options.kills ? { after, delay } : null,
      );
      assert.ok(killed || code === 0, `exit code ${code}: ${stderr}`);
      const now = progressOf(out);
      assert.ok(now.saved >= before.saved, `from step ${before.saved} back to ${now.saved}`);
      assert.ok(now.told >= before.saved, `lines cut back to ${now.told} of ${before.saved}`);
      assert.ok(now.told - now.saved <= SAVE_EVERY, `step ${now.told}, saved ${now.saved}`);
      before = now;
      complete = !killed;
      if (killed) tally.kills++;
      if (killed && now.saved > 0 && now.saved < STEPS) tally.midway++;
    }
    assertSameRemains(remainsOf(out, STEPS), expected, "crash");
    assert.deepEqual(unfinishedNames(out), []);
    Deno.removeSync(out, { recursive: true });
  }
  return tally;
}

Deno.test(`${KILLS} kills: nothing is torn, nothing lost but the steps since the last checkpoint`, async () => {
  assert.ok(place, "no host to run on");
  using tiny = new TinyRun();
  const whole = tiny.out("whole");
  const { code, stderr } = await runAndKill(tiny, whole, null);
  assert.equal(code, 0, stderr);
  const expected = remainsOf(whole, STEPS);

  const tallies = await Promise.all(
    Array.from(
      { length: LANES },
      (_, index) =>
        lane(tiny, expected, { name: `lane-${index}`, kills: KILLS / LANES, seed: index + 1 }),
    ),
  );
  const sum = (key: keyof Tally) => tallies.reduce((total, tally) => total + tally[key], 0);
  assert.equal(sum("kills"), KILLS);
  assert.ok(sum("midway") >= KILLS / 4, `${sum("midway")} kills came midway`);
  assert.ok(sum("runs") < KILLS / 2, `${sum("runs")} runs: most kills came too late`);
});
