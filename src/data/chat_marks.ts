/** Marks that stand around pieces of text while a template runs, and are cut out of the result. */

/** Characters of no meaning: Unicode's private use area. */
const PRIVATE_USE = /[\uE000-\uF8FF]/g;
const [FIRST, LAST] = [0xE000, 0xF8FF];

/** Characters for marks that a text has nowhere; null where there are not so many. */
export function unusedMarks(text: string, count: number): string[] | null {
  const used = new Set(text.match(PRIVATE_USE));
  const marks: string[] = [];
  for (let code = FIRST; code <= LAST && marks.length < count; code++) {
    const mark = String.fromCharCode(code);
    if (!used.has(mark)) marks.push(mark);
  }
  return marks.length === count ? marks : null;
}

/** Takes marks out of a rendering and says where each stood; null when what is left is not `plain`. */
export function cutMarks(
  marked: string,
  plain: string,
  marks: readonly string[],
): number[][] | null {
  const places = new Map(marks.map((mark) => [mark, [] as number[]]));
  let cut = 0;
  const left = marked.replace(PRIVATE_USE, (character, at: number) => {
    const found = places.get(character);
    if (found === undefined) return character;
    found.push(at - cut++);
    return "";
  });
  return left === plain ? [...places.values()] : null;
}
