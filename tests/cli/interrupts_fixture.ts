/** A program that works on after the first interrupt, for the test of the second one. */

import { Interrupts } from "../../cli/signals.ts";

using _interrupts = new Interrupts(
  () => console.log("stopping"),
  () => console.log("farewell"),
);
console.log("working");
await new Promise((resolve) => setTimeout(resolve, 60_000));
