/** Finds the name that a person probably meant. */

/** Edits (insert, delete, replace, swap neighbours) that turn `from` into `to`. */
export function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let best = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] &&
        from[row - 2] === to[column - 1];
      if (swapped) best = Math.min(best, (beforeLast[column - 2] ?? 0) + 1);
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? 0;
}

/**
 * The known name nearest to a mistyped one, or undefined where none is near: up to a third of the
 * letters may differ, or the name contains all that was typed. Case and punctuation do not count.
 */
export function suggest(typed: string, known: Iterable<string>): string | undefined {
  const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, "");
  const wanted = plain(typed);
  let best: string | undefined;
  let bestRank = Math.max(1, Math.floor(wanted.length / 3)) + 0.75;
  for (const name of known) {
    const candidate = plain(name);
    const contained = wanted.length >= 3 && candidate.includes(wanted);
    // Containing everything typed ranks between one edit and two, the shortest such name first.
    const rank = contained
      ? 1 + (candidate.length - wanted.length) / 100
      : editDistance(wanted, candidate);
    if (rank < bestRank && rank < wanted.length) {
      best = name;
      bestRank = rank;
    }
  }
  return best;
}
