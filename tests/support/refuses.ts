/** Asserts that something is refused in words for people. */
import assert from "node:assert/strict";
import { SpielError, type SpielErrorKind } from "../../src/errors.ts";

/** Runs `action`, which must throw a `SpielError` of this kind whose message has every fragment. */
export function assertRefuses(
  action: () => unknown,
  kind: SpielErrorKind,
  ...fragments: string[]
): void {
  try {
    action();
  } catch (error) {
    checkRefusal(error, kind, fragments);
    return;
  }
  assert.fail(`not refused; expected: ${fragments.join(" ... ")}`);
}

/** The same for a promise. */
export async function assertRejects(
  action: () => Promise<unknown>,
  kind: SpielErrorKind,
  ...fragments: string[]
): Promise<void> {
  const error = await action().then(() => null, (error: unknown) => error);
  if (error === null) assert.fail(`not refused; expected: ${fragments.join(" ... ")}`);
  checkRefusal(error, kind, fragments);
}

function checkRefusal(error: unknown, kind: SpielErrorKind, fragments: string[]): void {
  if (!(error instanceof SpielError)) throw error;
  assert.equal(error.kind, kind, error.message);
  for (const fragment of fragments) {
    assert.ok(error.message.includes(fragment), `"${error.message}" lacks "${fragment}"`);
  }
}
