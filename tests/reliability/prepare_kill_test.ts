/** Preparations that are killed go on where they were, and end in the same samples in the same order. */
import assert from "node:assert/strict";
import { randomNumbers } from "../support/small_model.ts";
import { withTempDir } from "../support/temp_dir.ts";

const KILLS = 10;
const PROGRAM = new URL("prepare_program.ts", import.meta.url).pathname;

/** Sources of several blocks each. */
function writeSources(dir: string): string[] {
  return [24_000, 12_000].map((rows, source) => {
    const path = `${dir}/${source}.jsonl`;
    const lines = Array.from({ length: rows }, (_, i) => {
      if (i % 5000 === 11) return "{";
      return JSON.stringify({ prompt: `the ${i % 20_000}`, completion: ` a ${source}` });
    });
    Deno.writeTextFileSync(path, lines.join("\n"));
    return path;
  });
}

/** Runs the program in a process; kills it after so many shards are there, or never. */
async function prepare(cache: string, workers: number, paths: string[], killAt = Infinity) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--allow-all", PROGRAM, cache, String(workers), ...paths],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const watch = setInterval(() => {
    if (shardsIn(cache).length < killAt) return;
    clearInterval(watch);
    child.kill("SIGKILL");
  }, 5);
  const { signal, stdout } = await child.output().finally(() => clearInterval(watch));
  return { killed: signal === "SIGKILL", text: new TextDecoder().decode(stdout).trim() };
}

/** Paths and times of all whole shards. */
function shardsIn(cache: string): string[] {
  try {
    return [...Deno.readDirSync(`${cache}/tokens`)].flatMap(({ name: key }) =>
      [...Deno.readDirSync(`${cache}/tokens/${key}`)].filter(({ name }) =>
        name.startsWith("shard-")
      )
        .map(({ name }) => `${key}/${name}`)
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

Deno.test("1, 2 and 3 workers, and ten kills, give the same samples in the same order", () =>
  withTempDir(async (dir) => {
    const paths = writeSources(dir);
    const expected = await prepare(`${dir}/one`, 1, paths);
    assert.match(expected.text, /^[0-9a-f]{64}$/);
    for (const workers of [2, 3]) {
      assert.deepEqual(await prepare(`${dir}/${workers}`, workers, paths), expected);
    }
    const all = shardsIn(`${dir}/one`);
    assert.equal(all.length, 5);
    const cache = `${dir}/killed`;
    const random = randomNumbers(3);
    let kills = 0;
    for (let workers = 1; kills < KILLS; workers = workers % 3 + 1) {
      const { killed } = await prepare(cache, workers, paths, shardsIn(cache).length + 1);
      if (killed) kills++;
      const shards = shardsIn(cache);
      // So that there is something to do at the next kill, however many blocks were done by this one.
      const lost = shards.filter(() => random() < 0.4);
      for (const shard of shards.length >= 4 ? lost : []) {
        Deno.removeSync(`${cache}/tokens/${shard}`);
      }
    }
    assert.deepEqual(await prepare(cache, 2, paths), expected);
    assert.deepEqual(shardsIn(cache).sort(), all.sort());
    for (const shard of all) {
      const [killed, whole] = [cache, `${dir}/one`].map((one) =>
        Deno.readFileSync(`${one}/tokens/${shard}`)
      );
      assert.deepEqual(killed, whole);
    }
  }));
