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
  readonly rounds: number;
  /** Times the tokens per second of each round's fastest peer; `null` without peers. */
  readonly speed: number | null;
  /** Share of the peak memory of each round's leanest peer; `null` without peers. */
  readonly memory: number | null;
}

/** Each method of each setting, in the order of its first row; a round's ratios are to the best peer of that round. */
export function compare(rows: readonly Row[]): Comparison[] {
  const groups = Map.groupBy(rows, ({ setting, side, method }) => `${setting}/${side}/${method}`);
  return [...groups.values()].map((group) => {
    const { side, method, setting } = group[0]!;
    const ratios = group.flatMap((row) => {
      const peers = rows.filter((other) =>
        other.side === "peer" && other.setting === setting && other.round === row.round
      );
      if (peers.length === 0) return [];
      const fastest = Math.max(...peers.map(({ tokensPerSecond }) => tokensPerSecond));
      const leanest = Math.min(...peers.map(({ peakBytes }) => peakBytes));
      return [{ speed: row.tokensPerSecond / fastest, memory: row.peakBytes / leanest }];
    });
    const middle = (values: number[]) => values.length === 0 ? null : median(values);
    return {
      ...{ side, method, setting, rounds: group.length },
      tokensPerSecond: median(group.map(({ tokensPerSecond }) => tokensPerSecond)),
      peakBytes: median(group.map(({ peakBytes }) => peakBytes)),
      speed: middle(ratios.map(({ speed }) => speed)),
      memory: middle(ratios.map(({ memory }) => memory)),
    };
  });
}

/** Lines of a table, the first of them its head. */
export function tableOf(comparisons: readonly Comparison[]): string[] {
  const head = ["setting", "method", "tokens/s", "peak MiB", "× fastest peer", "× leanest peer"];
  const cells = comparisons.map(({ setting, side, method, ...numbers }) => [
    setting,
    side === "ours" ? `${method}, ours` : method,
    numbers.tokensPerSecond.toFixed(1),
    (numbers.peakBytes / 2 ** 20).toFixed(0),
    numbers.speed?.toFixed(2) ?? "-",
    numbers.memory?.toFixed(2) ?? "-",
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
