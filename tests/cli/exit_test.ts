/** What errors mean for the process. */

import assert from "node:assert/strict";
import { endingOf } from "../../cli/exit.ts";
import { missingPermission, SpielError, type SpielErrorKind } from "../../mod.ts";

const CODES: [kind: SpielErrorKind, code: number][] = [
  ["numeric", 4],
  ["usage", 64],
  ["data", 65],
  ["device", 69],
  ["internal", 70],
  ["storage", 74],
  ["environment", 78],
];

for (const [kind, code] of CODES) {
  Deno.test(`an error of kind ${kind} ends with ${code} and its sentence`, () => {
    assert.deepEqual(endingOf(new SpielError(kind, "It broke")), {
      code,
      message: "error: It broke",
    });
  });
}

Deno.test("an interrupted run is no error but ends with 75", () => {
  assert.deepEqual(endingOf(new SpielError("interrupted", "The run can go on")), {
    code: 75,
    message: "stopped: The run can go on",
  });
});

Deno.test("anything else is our fault, told in one line", () => {
  const { code, message } = endingOf(new TypeError("x is not\na function"));
  assert.equal(code, 70);
  assert.match(message, /^internal error: TypeError: x is not a function; this is a fault of the/);
  assert.equal(endingOf("odd").code, 70);
});

const PERMISSIONS: [message: string, flag: string][] = [
  [
    'Requires read access to "a b.txt", run again with the --allow-read flag',
    "--allow-read=a b.txt",
  ],
  ['Requires env access to "HOME", run again with the --allow-env flag', "--allow-env=HOME"],
  ["Requires ffi access, run again with the --allow-ffi flag", "--allow-ffi"],
  ["Requires read access to <CWD>, run again with the --allow-read flag", "--allow-read"],
];

for (const [message, flag] of PERMISSIONS) {
  Deno.test(`"${message}" asks for ${flag}`, () => assert.equal(missingPermission(message), flag));
}

Deno.test("a refused permission is found below other errors", () => {
  const cause = new Deno.errors.NotCapable('Requires write access to "out", run again');
  assert.deepEqual(endingOf(new SpielError("storage", "Cannot save", { cause })), {
    code: 74,
    message: "error: Cannot save; add --allow-write=out to the deno command",
  });
  assert.deepEqual(endingOf(cause), {
    code: 78,
    message: "error: Deno may not do this yet; add --allow-write=out to the deno command",
  });
});
