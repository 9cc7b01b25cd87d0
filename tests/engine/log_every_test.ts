/** `log_every`: steps that nobody waits for are the same steps, on every host and device. */

import assert from "node:assert/strict";
import { gpuDevices, HOSTED_DEVICES } from "../support/hosts.ts";
import { filesUnder, TinyRun } from "../support/tiny_run.ts";

/** Without evaluations and checkpoints in passing, which wait for the steps before them. */
const UNWATCHED = { maxSteps: 7, evalEvery: 0, saveEvery: 0 };

for (const place of [...HOSTED_DEVICES, ...await gpuDevices()]) {
  for (const method of ["spiel-ag", "spiel-ma"] as const) {
    Deno.test({
      name:
        `log_every: ${method} trains the same whether its steps are read or not (${place.name})`,
      ignore: place.ignore,
      fn: async () => {
        using tiny = new TinyRun();
        const all = await tiny.train(place, "all", { ...UNWATCHED, method });
        const some = await tiny.train(place, "some", { ...UNWATCHED, method, logEvery: 3 });
        assert.deepEqual(filesUnder(tiny.out("some/adapter")), filesUnder(tiny.out("all/adapter")));
        const told = (events: typeof all.events) =>
          events.flatMap((event) =>
            event.type === "step" ? [[event.step, event.loss, event.gradNorm] as const] : []
          );
        const steps = told(some.events);
        assert.deepEqual(steps.map(([step]) => step), [3, 6, 7]);
        assert.deepEqual(steps, told(all.events).filter(([step]) => [3, 6, 7].includes(step)));
      },
    });
  }
}
