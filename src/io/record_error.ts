/** What is wrong with one record of a file, apart from where it stands, so that alike ones can be told together. */
import { SpielError } from "../errors.ts";

/** A record that cannot be used. */
export class RecordError extends SpielError {
  /**
   * @param where File and line, such as `train.jsonl:12`.
   * @param reason What is wrong, without the place.
   */
  constructor(readonly where: string, readonly reason: string, options?: { cause?: unknown }) {
    super("data", `${where}: ${reason}`, options);
  }
}
