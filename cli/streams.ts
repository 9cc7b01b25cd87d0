/** The process's standard streams: a command goes on when one of them fails, and the failure is told at its end. */

const encoder = new TextEncoder();
/** Never signalled: waiting on it is a pause. */
const PAUSE = new Int32Array(new SharedArrayBuffer(4));
const PAUSE_MS = 5;

/** What a shell tells of a program that ended because nobody read on: 128 and the number of SIGPIPE. */
const READER_LEFT = 141;

/** A stream that is written for as long as it takes anything: what a command does is worth more than its words. */
export class TextStream {
  readonly #stream: { writeSync(bytes: Uint8Array): number };
  #isOpen = true;
  #endsWithReader = false;
  #failure: unknown;

  /** @param stream Where the text goes. */
  constructor(stream: { writeSync(bytes: Uint8Array): number }) {
    this.#stream = stream;
  }

  /** Why text was lost, such as a full disk; undefined where none was, or where the reader had left. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Has the process end when the reader leaves, quietly, for a command of which nothing but its words remains. */
  endWithReader(): void {
    this.#endsWithReader = true;
  }

  /** Writes text; passes over it once the stream has failed. */
  write(text: string): void {
    if (!this.#isOpen) return;
    try {
      let bytes = encoder.encode(text);
      while (bytes.length > 0) bytes = bytes.subarray(this.#write(bytes));
    } catch (error) {
      this.#isOpen = false;
      if (!(error instanceof Deno.errors.BrokenPipe)) this.#failure = error;
      else if (this.#endsWithReader) Deno.exit(READER_LEFT);
    }
  }

  /** Waits where a full pipe does not: Node, and with it npx, makes those that it shares with us so. */
  #write(bytes: Uint8Array): number {
    for (;;) {
      try {
        return this.#stream.writeSync(bytes);
      } catch (error) {
        if (!(error instanceof Deno.errors.WouldBlock)) throw error;
        Atomics.wait(PAUSE, 0, 0, PAUSE_MS);
      }
    }
  }
}

/** Standard output. */
export const standardOutput: TextStream = new TextStream(Deno.stdout);
/** Standard error. */
export const standardError: TextStream = new TextStream(Deno.stderr);
