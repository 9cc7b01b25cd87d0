/** Text that is being rewritten for a vocabulary, where every character still knows the place it came from. */

/** A text and, per UTF-16 unit, the range of the original text that the unit stands for. */
export class SourceText {
  private constructor(
    readonly text: string,
    readonly starts: Uint32Array,
    readonly ends: Uint32Array,
  ) {}

  /** The text as it was given; both halves of a surrogate pair stand for the whole character. */
  static of(text: string): SourceText {
    const starts = new Uint32Array(text.length);
    const ends = new Uint32Array(text.length);
    for (let at = 0; at < text.length;) {
      const next = at + (text.codePointAt(at)! > 0xFFFF ? 2 : 1);
      starts.fill(at, at, next);
      ends.fill(next, at, next);
      at = next;
    }
    return new SourceText(text, starts, ends);
  }

  /** The units from `from` to before `to`. */
  slice(from: number, to: number): SourceText {
    return new SourceText(
      this.text.slice(from, to),
      this.starts.subarray(from, to),
      this.ends.subarray(from, to),
    );
  }

  /** Where the units from `from` to before `to` come from; there is at least one. */
  range(from: number, to: number): { start: number; end: number } {
    return { start: this.starts[from]!, end: this.ends[to - 1]! };
  }

  /**
   * Replaces ranges of this text; what lies between them is kept. The replacement stands for the whole range, and
   * that of an empty range for the place before the next unit.
   *
   * @param changes Ordered and apart.
   */
  replace(changes: Iterable<{ from: number; to: number; by: string }>): SourceText {
    const kept: string[] = [];
    const starts: number[] = [];
    const ends: number[] = [];
    let at = 0;
    const keep = (to: number) => {
      kept.push(this.text.slice(at, to));
      for (; at < to; at++) {
        starts.push(this.starts[at]!);
        ends.push(this.ends[at]!);
      }
    };
    for (const { from, to, by } of changes) {
      keep(from);
      kept.push(by);
      const start = this.starts[from] ?? this.ends.at(-1) ?? 0;
      const end = to > from ? this.ends[to - 1]! : start;
      for (let i = 0; i < by.length; i++) {
        starts.push(start);
        ends.push(end);
      }
      at = to;
    }
    keep(this.text.length);
    return new SourceText(kept.join(""), Uint32Array.from(starts), Uint32Array.from(ends));
  }
}

/** Runs of characters that compose among themselves only: Hangul, and a letter with its marks. */
export const COMPOSING_RUN =
  /[\u1100-\u11FF\uA960-\uA97F\uAC00-\uD7FF]+|\P{M}[\p{M}\uFF9E\uFF9F]*|\p{M}+/gu;

/** How much of Unicode's white space a text begins with, in UTF-16 units. That of `trimStart` is another. */
export function spaceAtStart(text: string): number {
  return /^\p{White_Space}*/u.exec(text)![0].length;
}

/** How much of Unicode's white space a text ends with. */
export function spaceAtEnd(text: string): number {
  let at = text.length;
  while (at > 0 && /\p{White_Space}/u.test(text[at - 1]!)) at--;
  return text.length - at;
}
