/** Runs that must agree wherever they are computed: any number of threads to the bit, hosts to rounding. */

import assert from "node:assert/strict";
import { largestDifference } from "../support/check.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";
import { SMALL_CONFIG } from "../support/small_model.ts";
import { type SmallRun, trainSmall } from "../support/small_run.ts";

/** Wide enough that every operation is shared out over threads. */
const WIDE: Pick<SmallRun, "config" | "seed" | "lengths"> = {
  config: {
    ...SMALL_CONFIG,
    hidden_size: 160,
    intermediate_size: 420,
    head_dim: 40,
    vocab_size: 700,
    max_position_embeddings: 256,
  },
  seed: 5,
  lengths: [150, 30, 90],
};

/** The bound on losses and trained values between hosts. */
const HOSTS_BOUND = 1e-5;

for (const place of HOSTED_DEVICES) {
  for (const method of ["spiel-ag", "spiel-ma", "full"] as const) {
    const name = `agreement: any number of threads gives the same bits, ${method} (${place.name})`;
    Deno.test(name, { ignore: place.ignore }, async () => {
      const results = [];
      for (const threads of [1, 2, 3]) {
        await using engine = await place.open({ threads });
        results.push(await trainSmall(engine, { ...WIDE, method, steps: 7 }));
      }
      const [one, two, three] = results;
      assert.equal(one?.reselections, method === "full" ? 0 : 2);
      assert.deepEqual(two, one);
      assert.deepEqual(three, one);
    });
  }
}

const [first, ...others] = HOSTED_DEVICES;
for (const other of others) {
  for (const method of ["spiel-ag", "spiel-ma"] as const) {
    const name = `agreement: ten steps on ${first?.name} and ${other.name}, ${method}`;
    Deno.test(name, { ignore: first?.ignore || other.ignore }, async () => {
      const results = [];
      for (const place of [first!, other]) {
        await using engine = await place.open();
        const run = { config: SMALL_CONFIG, method, steps: 10, seed: 21, lengths: [20, 11, 33] };
        results.push(await trainSmall(engine, run));
      }
      const [a, b] = results as [typeof results[0], typeof results[0]];
      const difference = largestDifference(a!.losses, b!.losses);
      assert.ok(difference <= HOSTS_BOUND, `losses differ by ${difference}`);
      for (const [key, array] of a!.state) {
        const difference = largestDifference(array, b!.state.get(key)!);
        const bound = array instanceof Uint32Array ? 0 : HOSTS_BOUND;
        assert.ok(difference <= bound, `${key} differs by ${difference}`);
      }
    });
  }
}
