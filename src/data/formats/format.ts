/** What a data format turns a record into. */
import type { Message, Tool } from "../chat_template.ts";
import type { RecordFields } from "./fields.ts";

/** One training example in words. Which of them are trained on is the encoder's choice. */
export type Sample =
  /** Messages in their order. */
  | {
    kind: "conversation";
    messages: Message[];
    /** What the assistant may call, as the template is told; absent without any. */
    tools?: Tool[];
    /** How many of the messages are the prompt, where the record tells it from the completion. */
    promptMessages?: number;
  }
  /** What is asked, and what is to be answered. */
  | {
    kind: "completion";
    /** What the system says before it; absent where it says nothing. */
    system?: string;
    prompt: string;
    completion: string;
    /** The text before the completion where there is no chat template; the prompt itself unless given. */
    plainPrompt?: string;
  }
  /** Text that nobody is asked for. */
  | { kind: "text"; text: string };

/** A way to read records. One file per format, listed in `mod.ts`. */
export interface DataFormat {
  name: string;
  /** Fields that a record must have. */
  fields: readonly string[];
  /** Fields that it may have. */
  optional?: readonly string[];
  /** @throws {SpielError} kind "data" naming file, line and field. */
  read(record: RecordFields): Sample;
}

/** All fields that a format reads. */
export function fieldsOf({ fields, optional = [] }: DataFormat): readonly string[] {
  return [...fields, ...optional];
}

/** A pair as a conversation. */
export function messagesOf(
  { system, prompt, completion }: Extract<Sample, { kind: "completion" }>,
): Message[] {
  return [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    { role: "user", content: prompt },
    { role: "assistant", content: completion },
  ];
}
