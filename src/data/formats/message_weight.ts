/** Which answers a record itself leaves out of training: `weight: 0`, or `train: false`, at a message of the assistant. */
import type { Message } from "../chat_template.ts";
import { type RecordFields, shown } from "./fields.ts";

/** Whether a message is one to learn, as far as it says so itself. */
export function isToLearn({ weight, train }: Message): boolean {
  // What stands beside tools may be a number that keeps its spelling, such as 0.0.
  return train !== false && (weight === undefined || weight === null || Number(weight) !== 0);
}

/**
 * Refuses a weight between never and always: there is no training by half.
 *
 * @param index Of the message, which is the assistant's.
 * @throws {RecordError} naming the message and what was expected.
 */
export function checkWeight(
  record: RecordFields,
  { weight, train }: Record<string, unknown>,
  index: number,
): void {
  const isNumber = typeof weight === "number" || weight instanceof Number;
  const isWeight = isNumber && [0, 1].includes(Number(weight));
  if (weight !== undefined && weight !== null && !isWeight) {
    throw record.error(
      `message ${index} has the weight ${shown(weight)}; expected 1, or 0 to leave it untrained`,
    );
  }
  if (train !== undefined && train !== null && typeof train !== "boolean") {
    throw record.error(`message ${index} has train: ${shown(train)}; expected true or false`);
  }
}

/** What a message says of being learnt. */
export function weightOf({ weight, train }: Record<string, unknown>): Record<string, unknown> {
  return { ...weight !== undefined && { weight }, ...train !== undefined && { train } };
}
