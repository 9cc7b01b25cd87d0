/** The training command by itself: `train.ts --model MODEL --data FILE [options]`. */

import { runTrain } from "./commands/train.ts";
import { runToExit } from "./exit.ts";

if (import.meta.main) await runToExit(() => runTrain(Deno.args));
