/** The post-processor of a tokenizer.json that puts tokens around a text. */

/** A token with its id. */
export interface SurroundingToken {
  content: string;
  id: number;
}

/** Puts a token before and one after every text; null where there is nothing to put. */
export function surroundWith(before: SurroundingToken | null, after: SurroundingToken | null) {
  const added = [before, after].filter((token) => token !== null);
  if (added.length === 0) return null;
  const item = ({ content }: SurroundingToken) => ({ SpecialToken: { id: content, type_id: 0 } });
  const around = (id: "A" | "B") => [
    ...(before === null ? [] : [item(before)]),
    { Sequence: { id, type_id: 0 } },
    ...(after === null ? [] : [item(after)]),
  ];
  return {
    type: "TemplateProcessing",
    single: around("A"),
    pair: [...around("A"), ...around("B")],
    special_tokens: Object.fromEntries(
      added.map(({ content, id }) => [content, { id: content, ids: [id], tokens: [content] }]),
    ),
  };
}
