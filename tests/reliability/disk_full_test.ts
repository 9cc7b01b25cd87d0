/** Full disks: a run goes on where it can, says so, stops with code 74 where it cannot, and resumes once there is room. */

import assert from "node:assert/strict";
import { denoFiles, type Files } from "../../src/io/files.ts";
import { refusalProblem, runCli } from "../cli/run_cli.ts";
import { TinyFolder } from "../cli/tiny_folder.ts";
import { systemFailure } from "../support/faulty_files.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";
import { filesUnder, TinyRun } from "../support/tiny_run.ts";
import { assertSameRemains, remainsOf } from "./interruption.ts";

const STEPS = 12;
const NO_SPACE = /no space left on the device/;

/** The disk, which has no room for a checkpoint of some steps. */
function diskFullAt(isFull: (step: number) => boolean): Files {
  return {
    ...denoFiles,
    async create(path) {
      const step = /tmp-step-(\d+)\/optimizer/.exec(path)?.[1];
      if (step !== undefined && isFull(Number(step))) throw systemFailure("ENOSPC");
      return await denoFiles.create(path);
    },
  };
}

for (const place of HOSTED_DEVICES) {
  const options = { ignore: place.ignore };
  Deno.test(
    `disk full: a while without room costs no more than a checkpoint (${place.name})`,
    options,
    async () => {
      using tiny = new TinyRun();
      await tiny.train(place, "whole");
      const files = diskFullAt((step) => step === 3 || step === 4);
      const { events } = await tiny.train(place, "cramped", {}, { files });
      const warnings = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
      assert.equal(warnings.length, 2);
      for (const warning of warnings) {
        assert.match(warning, NO_SPACE);
        assert.match(warning, /; training goes on$/);
      }
      const [cramped, whole] = ["cramped", "whole"].map((name) => remainsOf(tiny.out(name), STEPS));
      assert.deepEqual(cramped!.files, whole!.files);
    },
  );

  Deno.test(
    `disk full: lines of metrics wait for room (${place.name})`,
    options,
    async () => {
      using tiny = new TinyRun();
      await tiny.train(place, "whole", { saveEvery: 0 });
      let step = 0;
      const files: Files = {
        ...denoFiles,
        async append(path) {
          const file = await denoFiles.append(path);
          const isFull = () => step >= 5 && step <= 9;
          return {
            write: (bytes) => {
              if (isFull()) throw systemFailure("ENOSPC");
              return file.write(bytes);
            },
            sync: () => file.sync(),
            close: () => file.close(),
          };
        },
      };
      const { events } = await tiny.train(place, "cramped", { saveEvery: 0 }, {
        files,
        onEvent: (event) => {
          if (event.type === "step") step = event.step + 1;
        },
      });
      const warnings = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, /metrics.jsonl": no space left .*; training goes on$/);
      assertSameRemains(
        remainsOf(tiny.out("cramped"), STEPS),
        remainsOf(tiny.out("whole"), STEPS),
        "crash",
      );
    },
  );

  Deno.test(
    `disk full: a run without any room stops, and resumes when there is (${place.name})`,
    options,
    async () => {
      using tiny = new TinyRun();
      await tiny.train(place, "whole");
      const files = diskFullAt((step) => step > 4);
      await assert.rejects(() => tiny.train(place, "full", {}, { files }), {
        kind: "storage",
        message:
          /no space .*; the checkpoint of step 4 is kept, and .* --resume goes on from there$/,
      });
      await tiny.train(place, "full", { resume: true });
      assertSameRemains(
        remainsOf(tiny.out("full"), STEPS),
        remainsOf(tiny.out("whole"), STEPS),
        "crash",
      );
    },
  );
}

for (const place of HOSTED_DEVICES) {
  Deno.test(
    `disk full: no room for a profile costs the profile alone (${place.name})`,
    { ignore: place.ignore },
    async () => {
      using tiny = new TinyRun();
      await tiny.train(place, "whole");
      const files: Files = {
        ...denoFiles,
        async create(path) {
          if (path.includes("trace.json")) throw systemFailure("ENOSPC");
          return await denoFiles.create(path);
        },
      };
      await assert.rejects(() => tiny.train(place, "cramped", { profile: true }, { files }), {
        kind: "storage",
        message: /trace.json.*no space .*; the result in ".*adapter" is complete$/,
      });
      const [whole, cramped] = ["whole", "cramped"].map((out) =>
        filesUnder(`${tiny.out(out)}/adapter`)
      );
      assert.deepEqual(cramped, whole);
      assert.ok(Deno.statSync(`${tiny.out("cramped")}/report.html`).isFile);
    },
  );

  Deno.test(
    `disk full: at the very end the result is complete all the same (${place.name})`,
    { ignore: place.ignore },
    async () => {
      using tiny = new TinyRun();
      await tiny.train(place, "whole", { saveEvery: 0 });
      const files = diskFullAt((step) => step === STEPS);
      await assert.rejects(() => tiny.train(place, "cramped", { saveEvery: 0 }, { files }), {
        kind: "storage",
        message: /^Cannot save checkpoint .*no space .*; the result in ".*adapter" is complete$/,
      });
      const [whole, cramped] = ["whole", "cramped"].map((out) =>
        filesUnder(`${tiny.out(out)}/adapter`)
      );
      assert.deepEqual(cramped, whole);
      assert.ok(Deno.statSync(`${tiny.out("cramped")}/report.html`).isFile);
      await tiny.train(place, "cramped", { saveEvery: 0, resume: true });
      assertSameRemains(
        remainsOf(tiny.out("cramped"), STEPS),
        remainsOf(tiny.out("whole"), STEPS),
        "crash",
      );
    },
  );
}

Deno.test({
  name: "disk full: a file that takes nothing ends a run in a sentence",
  // Only Linux has such a file.
  ignore: Deno.build.os !== "linux",
  async fn(t) {
    using folder = new TinyFolder();
    for (const name of ["config.json", "report.html"]) {
      await t.step(name, async () => {
        const out = `run-${name}`;
        Deno.mkdirSync(folder.at(out));
        Deno.symlinkSync("/dev/full", folder.at(`${out}/tmp-${name}`));
        const finished = await runCli(folder.trainArgs(out, "--resume"), {
          permissions: ["--allow-all"],
        });
        assert.equal(refusalProblem(finished, 74, NO_SPACE), undefined);
        const isComplete = finished.stderr.includes(`/${out}/adapter" is complete`);
        assert.equal(isComplete, name === "report.html", finished.stderr);
      });
    }
  },
});

/** Whether a program of the system succeeds. */
async function succeeds(command: string, ...args: string[]): Promise<boolean> {
  const options = { args, stdout: "null", stderr: "null" } as const;
  return (await new Deno.Command(command, options).output()).success;
}

/** A file system in memory. */
class SmallDisk implements AsyncDisposable {
  private constructor(readonly path: string) {}

  /** Mounts it; null where this user may not. */
  static async mount(path: string, size: string): Promise<SmallDisk | null> {
    if (Deno.build.os !== "linux" || Deno.uid() !== 0) return null;
    Deno.mkdirSync(path);
    const options = ["-t", "tmpfs", "-o", `size=${size}`, "spiel-test", path];
    return await succeeds("mount", ...options) ? new SmallDisk(path) : null;
  }

  /** Makes room. */
  async grow(size: string): Promise<void> {
    assert.ok(await succeeds("mount", "-o", `remount,size=${size}`, this.path));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    assert.ok(await succeeds("umount", this.path));
  }
}

Deno.test("disk full: a small file system fills up with checkpoints", async (t) => {
  using folder = new TinyFolder();
  await using disk = await SmallDisk.mount(folder.at("disk"), "400k");
  await t.step({
    name: "code 74, and what was saved before is gone on from",
    // Mounting needs root; the tests above fill the disk for everyone else.
    ignore: disk === null,
    async fn() {
      const args = folder.trainArgs("disk/run", "--max-steps", "30", "--save-every", "1");
      const finished = await runCli(args);
      assert.equal(finished.code, 74, finished.stderr);
      const lines = finished.stderr.trimEnd().split("\n");
      assert.match(
        lines.at(-1)!,
        /^error: Cannot (save checkpoint|write to) .*no space left on the device/,
      );
      assert.ok(lines.slice(0, -1).every((line) => /^warning: .*training goes on$/.test(line)));

      await disk!.grow("4m");
      const resumed = await runCli([...args, "--resume"]);
      assert.equal(resumed.code, 0, resumed.stderr);
      assert.match(resumed.stdout, /resumed after step [1-9]\d* from /);
    },
  });
});
