/** Which parts of an example are trained on. */

/** What can be chosen, the default first. */
export const TRAIN_ON = ["assistant", "all", "last", "completion"] as const;

/**
 * - `assistant`: every message of the assistant with what ends its turn; of a pair the completion; text as a whole;
 * - `all`: everything;
 * - `last`: the last message of the assistant;
 * - `completion`: of a pair the completion; of a conversation the assistant's messages after the last of the user.
 */
export type TrainOn = typeof TRAIN_ON[number];

/** What is asked of a conversation: who speaks, and how many messages are the prompt where the record tells. */
interface Spoken {
  readonly messages: readonly { readonly role: string }[];
  readonly promptMessages?: number;
}

/**
 * Index of the first message from which on the assistant's are trained. A prompt of messages may show answers as
 * examples; of such a pair only the completion is the assistant's to learn.
 */
export function firstTrained(trainOn: TrainOn, { messages, promptMessages }: Spoken): number {
  const lastOf = (speaker: string) => messages.findLastIndex(({ role }) => role === speaker);
  switch (trainOn) {
    case "all":
      return 0;
    case "assistant":
      return promptMessages ?? 0;
    case "last":
      return lastOf("assistant");
    case "completion":
      return promptMessages ?? lastOf("user") + 1;
  }
}
