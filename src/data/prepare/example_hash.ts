/** A short hash of an example in words, by which equal ones are told. */
import { createHash } from "node:crypto";
import { canonicalJson } from "../../io/canonical_json.ts";
import { messagesOf, type Sample } from "../formats/mod.ts";

/**
 * The first 64 bits of a SHA-256, the same for the same words in whatever format, order of fields and white space of the
 * file. What a message has besides its role and content counts, as a template may print it.
 */
export function hashOf(sample: Sample): [number, number] {
  const digest = createHash("sha256").update(canonicalJson(wordsOf(sample))).digest();
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)];
}

/** A pair is a question and its answer; what of a conversation is the prompt is no matter of words. */
function wordsOf(sample: Sample): Record<string, unknown> {
  if (sample.kind === "text") return { text: sample.text };
  if (sample.kind === "conversation") return { messages: sample.messages, tools: sample.tools };
  return { messages: messagesOf(sample) };
}
