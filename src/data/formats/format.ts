/** What a data format turns a record into. */
import type { Message } from "../chat_template.ts";
import type { RecordFields } from "./fields.ts";

/** One training example in words. */
export type Sample =
  /** Every assistant message is trained. */
  | { kind: "conversation"; messages: Message[] }
  /** The completion is trained. */
  | { kind: "completion"; prompt: string; completion: string }
  /** Everything is trained. */
  | { kind: "text"; text: string };

/** A way to read records. One file per format, listed in `mod.ts`. */
export interface DataFormat {
  name: string;
  /** Fields that a record must have. */
  fields: readonly string[];
  /** @throws {SpielError} kind "data" naming file, line and field. */
  read(record: RecordFields): Sample;
}
