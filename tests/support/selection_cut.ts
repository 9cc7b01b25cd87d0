/**
 * Which differences from a reference's selection rounding can explain: those of positions whose scores lie at the cut,
 * where a sum in another order may choose the other of two.
 */

/** The largest relative distance from the cut at which a position may differ. */
export const CUT_MARGIN = 1e-4;

/** A selection of the reference: the smallest or the largest scores. */
export interface Selection {
  readonly chosen: readonly number[];
  readonly keeps: "smallest" | "largest";
  /** The score of a position in the reference's own figures; `undefined` where it recorded none. */
  readonly scoreOf: (position: number) => number | undefined;
}

/**
 * The positions in one of both sets and not in the other, by whether their score lies within {@linkcode CUT_MARGIN} of
 * the reference's cut, which is the score chosen last.
 */
export function compareSelections(
  ours: readonly number[],
  { chosen, keeps, scoreOf }: Selection,
): { atCut: number[]; elsewhere: number[] } {
  const differing = [...difference(ours, chosen), ...difference(chosen, ours)];
  if (differing.length === 0) return { atCut: [], elsewhere: [] };
  const scores = chosen.map((position) => scoreOf(position) ?? NaN);
  const cut = keeps === "smallest" ? Math.max(...scores) : Math.min(...scores);
  const isAtCut = (position: number) => {
    const score = scoreOf(position);
    return score !== undefined && Math.abs(score - cut) <= CUT_MARGIN * Math.abs(cut);
  };
  return {
    atCut: differing.filter(isAtCut),
    elsewhere: differing.filter((position) => !isAtCut(position)),
  };
}

/** The members of `a` that `b` lacks. */
export function difference(a: readonly number[], b: readonly number[]): number[] {
  const without = new Set(b);
  return a.filter((x) => !without.has(x));
}
