/** Ours against peers, round by round. */

import { median } from "../statistics.ts";

/** One measured process. */
export interface Row {
  readonly round: number;
  /** Whether it is this engine or another program. */
  readonly side: "ours" | "peer";
  readonly method: string;
  /** Shape and type, which only rows of the same are compared in. */
  readonly setting: string;
  readonly tokensPerSecond: number;
  readonly peakBytes: number;
}

/** Medians over the rounds. */
export interface Comparison extends Omit<Row, "round"> {
  /** Rounds that the method was measured in. */
  readonly rounds: number;
  /** Those of them in which every peer was, which alone have ratios: without the best one, the others would look better. */
  readonly comparedRounds: number;
  /** All peers that were ever measured in the setting. */
  readonly peers: readonly string[];
  /** Times the tokens per second of each round's fastest peer; `null` where no round has all peers. */
  readonly speed: number | null;
  /** Share of the peak memory of each round's leanest peer; `null` where no round has all peers. */
  readonly memory: number | null;
}

/** Each method of each setting, in the order of its first row; a round's ratios are to the best peer of that round. */
export function compare(rows: readonly Row[]): Comparison[] {
  const groups = Map.groupBy(rows, ({ setting, side, method }) => `${setting}/${side}/${method}`);
  return [...groups.values()].map((group) => {
    const { side, method, setting } = group[0]!;
    const others = rows.filter((row) => row.side === "peer" && row.setting === setting);
    const peers = [...new Set(others.map(({ method }) => method))];
    const ratios = group.flatMap((row) => {
      const ofRound = others.filter(({ round }) => round === row.round);
      if (ofRound.length < peers.length || peers.length === 0) return [];
      const fastest = Math.max(...ofRound.map(({ tokensPerSecond }) => tokensPerSecond));
      const leanest = Math.min(...ofRound.map(({ peakBytes }) => peakBytes));
      return [{ speed: row.tokensPerSecond / fastest, memory: row.peakBytes / leanest }];
    });
    const middle = (values: number[]) => values.length === 0 ? null : median(values);
    return {
      ...{ side, method, setting, peers, rounds: group.length, comparedRounds: ratios.length },
      tokensPerSecond: median(group.map(({ tokensPerSecond }) => tokensPerSecond)),
      peakBytes: median(group.map(({ peakBytes }) => peakBytes)),
      speed: middle(ratios.map(({ speed }) => speed)),
      memory: middle(ratios.map(({ memory }) => memory)),
    };
  });
}

/** Lines of a table, the first of them its head. */
export function tableOf(comparisons: readonly Comparison[]): string[] {
  const measured = ["setting", "method", "tokens/s", "peak MiB"];
  const head = [...measured, "× fastest peer", "× leanest peer", "in rounds"];
  const cells = comparisons.map(({ setting, side, method, ...numbers }) => [
    setting,
    side === "ours" ? `${method}, ours` : method,
    numbers.tokensPerSecond.toFixed(1),
    (numbers.peakBytes / 2 ** 20).toFixed(0),
    numbers.speed?.toFixed(2) ?? "-",
    numbers.memory?.toFixed(2) ?? "-",
    `${numbers.comparedRounds} of ${numbers.rounds}`,
  ]);
  const widths = head.map((name, column) =>
    Math.max(...[head, ...cells].map((row) => row[column]!.length), name.length)
  );
  return [head, ...cells].map((row) =>
    row.map((cell, column) =>
      column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    ).join("  ").trimEnd()
  );
}
