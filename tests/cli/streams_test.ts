/** Streams that fail, fill up or take little at a time. */

import assert from "node:assert/strict";
import { TextStream } from "../../cli/streams.ts";

/** A stream on something that answers each write in turn with a number of bytes or an error. */
function streamOf(...answers: (number | Error)[]) {
  const written: string[] = [];
  const stream = new TextStream({
    writeSync(bytes) {
      const answer = answers.shift() ?? bytes.length;
      if (answer instanceof Error) throw answer;
      written.push(new TextDecoder().decode(bytes.subarray(0, answer)));
      return answer;
    },
  });
  return { stream, written };
}

Deno.test("a stream gets all of a text, however little it takes at a time", () => {
  const { stream, written } = streamOf(1, 2);
  stream.write("abcdef");
  assert.deepEqual(written, ["a", "bc", "def"]);
});

Deno.test("a full pipe that does not wait by itself is waited for", () => {
  const full = () => new Deno.errors.WouldBlock("Resource temporarily unavailable");
  const { stream, written } = streamOf(2, full(), full());
  stream.write("abcd");
  assert.deepEqual([written, stream.failure], [["ab", "cd"], undefined]);
});

Deno.test("a reader who has left is no failure, a full disk is one; both end the writing", () => {
  for (const error of [new Deno.errors.BrokenPipe("left"), new Error("full")]) {
    const { stream, written } = streamOf(error);
    stream.write("a");
    stream.write("b");
    assert.deepEqual(written, []);
    assert.equal(stream.failure, error.message === "full" ? error : undefined);
  }
});
