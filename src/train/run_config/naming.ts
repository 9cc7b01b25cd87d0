/** The three spellings of a key: `max_steps` on disk, `--max-steps` as a flag, `maxSteps` in TypeScript. */

/** `max_steps` as a type becomes `maxSteps`. */
export type CamelCase<Key extends string> = Key extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Key;

/** Spells a key as in TypeScript. */
export function camelCase<Key extends string>(key: Key): CamelCase<Key> {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()) as CamelCase<Key>;
}

/** Spells a key as a flag, dashes in front included. */
export function flagName(key: string): string {
  return `--${key.replaceAll("_", "-")}`;
}
