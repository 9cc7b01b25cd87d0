/** The words that go with the keys of a configuration. */

import { z } from "npm:zod@4.6.7";

/** The headings under which keys are shown. */
export type ConfigGroup =
  | "Model and data"
  | "Method"
  | "Optimiser"
  | "Batches and length"
  | "Evaluation"
  | "Run folder"
  | "Machine";

/** The words that go with a key. */
export interface KeyInfo {
  /** What the key does, for `--help` and the reference. */
  description: string;
  /** The heading it is shown under. */
  group: ConfigGroup;
  /** The unit of a number. */
  unit?: string;
  /** What stands for the value in `--help`, where not the unit. */
  placeholder?: string;
  /** The default in words, where it depends on other keys. */
  defaultText?: string;
  /** What a valid value is, where the type does not say it. */
  expected?: string;
  /** A list given as a flag once per item; other lists are one comma-separated flag. */
  repeatable?: boolean;
  /** A resumed run may change it: it has no part in what is computed. */
  changeable?: boolean;
}

/** The words of every key, by its schema. */
export const keyWords = z.registry<KeyInfo>();
