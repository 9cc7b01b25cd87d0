/** Ours against peers: each round against its own best peer, and what a command line may say. */

import assert from "node:assert/strict";
import { listOf, shapeOf } from "../../../bench/flags.ts";
import { compare, type Row, tableOf } from "../../../bench/peers/ratios.ts";

const row = (round: number, side: Row["side"], method: string, tokens: number, mib: number) => ({
  ...{ round, side, method, setting: "4x256 float32" },
  ...{ tokensPerSecond: tokens, peakBytes: mib * 2 ** 20 },
});

/** A machine that slows down, and one round without peers. */
const ROWS: readonly Row[] = [
  row(1, "peer", "lora-r8", 300, 1000),
  row(1, "ours", "spiel-ag-r8", 600, 300),
  row(1, "peer", "full", 200, 2000),
  row(2, "peer", "lora-r8", 100, 1200),
  row(2, "ours", "spiel-ag-r8", 300, 300),
  row(2, "peer", "full", 150, 2000),
  row(3, "ours", "spiel-ag-r8", 500, 300),
];

Deno.test("ratios are to the best peer of the same round", () => {
  const [lora, ours, full] = compare(ROWS);
  assert.deepEqual([lora?.method, ours?.method, full?.method], ["lora-r8", "spiel-ag-r8", "full"]);
  assert.deepEqual([ours?.rounds, ours?.tokensPerSecond, ours?.speed], [3, 500, 2]);
  // Of two rounds with peers the mean: 300 of 1000 MiB, then 300 of 1200.
  assert.equal(ours?.memory, 0.275);
  assert.equal(lora?.speed, (1 + 100 / 150) / 2);
  const alone = compare(ROWS.filter(({ side }) => side === "ours"));
  assert.deepEqual([alone[0]?.speed, alone[0]?.memory], [null, null]);
  // Another setting has peers of its own.
  const elsewhere = ROWS.map((row) =>
    row.side === "ours" ? { ...row, setting: "1x512 float32" } : row
  );
  assert.equal(compare(elsewhere).find(({ side }) => side === "ours")?.speed, null);
});

Deno.test("a round in which a peer failed has no ratios", () => {
  const fails = (...rounds: number[]) =>
    compare(ROWS.filter(({ method, round }) => method !== "lora-r8" || !rounds.includes(round)));
  const [ours, full] = fails(1);
  assert.deepEqual([ours?.method, ours?.rounds, ours?.comparedRounds], ["spiel-ag-r8", 3, 1]);
  // Of the second round alone: the first would have 600 / 200 without its fastest peer.
  assert.deepEqual([ours?.speed, ours?.memory, ours?.tokensPerSecond], [2, 0.25, 500]);
  assert.deepEqual([full?.method, full?.comparedRounds, full?.speed], ["full", 1, 1]);
  assert.deepEqual(ours?.peers.toSorted(), ["full", "lora-r8"]);
  // A peer that never ran is not among those that the lines name.
  const without = fails(1, 2)[0];
  assert.deepEqual([without?.peers, without?.comparedRounds], [["full"], 2]);
  const rare = compare(
    ROWS.filter(({ method, round }) => method !== (round === 1 ? "full" : "lora-r8")),
  );
  assert.deepEqual([rare[1]?.comparedRounds, rare[1]?.speed, rare[1]?.memory], [0, null, null]);
});

Deno.test("the table has a line for each way", () => {
  const lines = tableOf(compare(ROWS)).map((line) => line.replaceAll(/ {2,}/g, " | "));
  assert.deepEqual(lines, [
    "setting | method | tokens/s | peak MiB | × fastest peer | × leanest peer | in rounds",
    "4x256 float32 | lora-r8 | 200.0 | 1100 | 0.83 | 1.00 | 2 of 2",
    "4x256 float32 | spiel-ag-r8, ours | 500.0 | 300 | 2.00 | 0.28 | 2 of 3",
    "4x256 float32 | full | 175.0 | 2000 | 0.83 | 1.83 | 2 of 2",
  ]);
});

Deno.test("shapes and lists of a command line", () => {
  assert.deepEqual(shapeOf("--shapes", "4x256"), [4, 256]);
  for (const text of ["", "4", "0x256", "4x", "4x256x1", "ax8"]) {
    assert.throws(() => shapeOf("--shapes", text), { message: /^--shapes has .*; expected seq/ });
  }
  assert.deepEqual(listOf("--types", "b,a", ["a", "b"]), ["b", "a"]);
  assert.throws(() => listOf("--types", "a,c", ["a", "b"]), {
    message: "--types is c; expected one of a, b",
  });
});
