/** report.html: complete, self-contained, safe against its own content, whatever the run was like. */

import assert from "node:assert/strict";
import type { MetricsEvent } from "../../../src/train/metrics.ts";
import { renderReport, type ReportMeta } from "../../../src/train/report.ts";
import {
  formatDuration,
  formatNumber,
  smooth,
  thin,
  ticks,
} from "../../../src/train/report/numbers.ts";

const META: ReportMeta = {
  title: "runs/a",
  facts: { Model: "tiny" },
  config: {
    lr: { value: 0.001, origin: "flag" },
    data: { value: ["train.jsonl"], origin: "run.yaml:3" },
    seed: { value: 17, origin: "default" },
  },
};

function run(steps: number): MetricsEvent[] {
  const events: MetricsEvent[] = [
    {
      event: "eval",
      step: 0,
      loss: 2.5,
      perplexity: 12.18,
      exact_match: 0.03,
      target_tokens: 9,
      elapsed_s: 0,
    },
  ];
  for (let step = 1; step <= steps; step++) {
    events.push({
      event: "step",
      step,
      loss: 2 + 1 / step,
      lr: 1e-3,
      grad_norm: 1,
      tokens: 500,
      target_tokens: 200,
      tokens_per_second: 1000 + step,
      epoch: step / 50,
      elapsed_s: step,
    });
    if (step % 20 === 0) {
      events.push({ event: "reselect", step, dropped: 1234, grown: 1234, rate: 0.2 });
    }
  }
  events.push(
    {
      event: "eval",
      step: steps,
      loss: 2.125,
      perplexity: 8.37,
      exact_match: 0.94,
      target_tokens: 9,
      elapsed_s: steps,
    },
    { event: "checkpoint", step: steps, path: "runs/a/checkpoints/step-00000100", elapsed_s: 9 },
    {
      event: "done",
      step: steps,
      stopped_early: false,
      output: "runs/a/adapter",
      saved_step: steps,
      best_step: steps,
      best_loss: 2.125,
      peak_memory_bytes: 3 * 2 ** 30,
      elapsed_s: 100,
    },
  );
  return events;
}

const count = (text: string, part: string) => text.split(part).length - 1;

/** Fails unless every tag that is opened is closed, in order. */
function assertWellFormed(page: string): void {
  const open: string[] = [];
  const body = page.replace(/<style>[^]*?<\/style>/, "");
  for (const [, end, name, rest] of body.matchAll(/<(\/?)([a-z0-9]+)([^>]*)>/g)) {
    if (end) assert.equal(open.pop(), name);
    else if (!rest!.endsWith("/") && name !== "meta") open.push(name!);
  }
  assert.deepEqual(open, []);
}

Deno.test("a run's report shows its results, curves, reselections and configuration", () => {
  const page = renderReport(run(100), META);
  assertWellFormed(page);
  assert.match(page, /^<!doctype html>/);
  assert.match(page, /Complete after 100 steps in 1 min 40 s\./);
  assert.match(page, /Exact match<.*3 %<.*94 %</);
  assert.match(page, /Held-out loss<.*2\.500<.*2\.125</);
  assert.match(page, /50,000<.*20,000 trained on/);
  assert.match(page, /Peak memory<.*3\.0 GiB</);
  assert.equal(count(page, '<p class="hint">'), 4);
  assert.ok(!page.includes('class="verdict"'));
  // Both the loss and the gradient norm carry the five reselections.
  assert.equal(count(page, '<line class="marker"'), 10);
  assert.ok(page.includes("Reselection after step 20: 1,234 deltas replaced (rate 20 %)"));
  assert.equal(count(page, "<svg "), 4);
  assert.match(page, /<circle class="dots".*held-out 2\.125 at step 100</);
  assert.match(page, /Result<.*runs\/a\/adapter/);
  assert.match(page, /Last checkpoint<.*step-00000100/);
  assert.match(page, /lr<.*0\.001<.*flag</);
  assert.match(page, /\[&quot;train\.jsonl&quot;\]<.*run\.yaml:3</);
  assert.match(page, /<summary>Left at their defaults: 1<[^]*seed<.*17</);
});

Deno.test("nothing is loaded from elsewhere and nothing runs", () => {
  const page = renderReport(run(100), META);
  const forbidden = [/https?:/, /src=/, /href=/, /url\(/, /@import/, /<script/, /<[^>]*\son\w+=/];
  for (const pattern of forbidden) assert.doesNotMatch(page, pattern);
});

Deno.test("text from prompts, answers, paths and settings is text, wherever it stands", () => {
  const hostile = `</pre></title><script>alert("1")</script><img src=x onerror='1'>&amp;`;
  const events = run(3).map((event) => {
    if (event.event === "done") return { ...event, output: hostile };
    if (event.event === "checkpoint") return { ...event, path: hostile };
    return event;
  });
  const page = renderReport(events, {
    title: hostile,
    facts: { [hostile]: hostile },
    config: {
      [hostile]: { value: hostile, origin: hostile },
      list: { value: [hostile], origin: "default" },
    },
    samples: [{ prompt: hostile, expected: hostile, before: hostile, after: hostile }],
  });
  assertWellFormed(page);
  assert.equal(count(page, "<script"), 0);
  assert.equal(count(page, "<img"), 0);
  assert.equal(count(page, "&lt;script&gt;"), 14);
  assert.ok(page.includes("&#39;1&#39;&gt;&amp;amp;"));
});

Deno.test("samples keep their line breaks and spaces", () => {
  const page = renderReport([], {
    ...META,
    samples: [{ prompt: "a\n  b", before: " x", after: "y\n" }],
  });
  assert.ok(page.includes('<pre class="prompt">a\n  b</pre>'));
  assert.ok(page.includes("<pre> x</pre>"));
  assert.equal(count(page, "<h3>"), 2);
});

Deno.test("a run that has not begun, that was stopped, or of one step still has a report", () => {
  const empty = renderReport([], META);
  assertWellFormed(empty);
  assert.match(empty, /Stopped after 0 steps; the run can be resumed\./);
  assert.equal(count(empty, "Nothing recorded."), 4);
  const stopped = renderReport(run(30).filter(({ event }) => event !== "done"), META);
  assert.match(stopped, /Stopped after 30 steps/);
  assert.ok(!stopped.includes("<th>Result</th>"));
  const single = renderReport(run(1), META);
  assertWellFormed(single);
  assert.match(single, /Complete after 1 step in/);
});

Deno.test("values that are missing or not finite leave a gap and never reach the drawing", () => {
  const events = run(60).map((event) =>
    event.event === "step" && event.step === 30
      ? { ...event, loss: null as unknown as number, grad_norm: Infinity }
      : event
  );
  const page = renderReport(events, META);
  assert.ok(!/NaN|Infinity|undefined/.test(page));
});

Deno.test("a long run does not make a large page", () => {
  assert.ok(
    renderReport(run(50_000).filter(({ event }) => event !== "reselect"), META).length < 80_000,
  );
});

Deno.test("ticks are round, cover the range and work for constant values", () => {
  assert.deepEqual(ticks(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(ticks(0.31, 2.47, 5), [0, 0.5, 1, 1.5, 2, 2.5]);
  for (const [low, high] of [[3, 3], [0, 0], [-5, -5], [1e-9, 2e-9], [-1, 1e6]] as const) {
    const list = ticks(low, high, 5);
    assert.ok(list.length >= 2 && list.length <= 8, String(list));
    assert.ok(list[0]! <= low && list.at(-1)! >= high, `${low}…${high}: ${list}`);
    assert.equal(new Set(list).size, list.length);
  }
});

Deno.test("thinning keeps means and smoothing keeps lines", () => {
  const line = Array.from({ length: 1000 }, (_, x) => ({ x, y: 2 * x }));
  const thinned = thin(line, 100);
  assert.equal(thinned.length, 100);
  assert.deepEqual(thinned[0], { x: 4.5, y: 9 });
  assert.deepEqual(smooth(line)[500], line[500]);
  assert.deepEqual(thin(line.slice(0, 5), 100), line.slice(0, 5));
});

Deno.test("numbers and durations as people write them", () => {
  assert.deepEqual(
    [0, 0.44741, 0.0008, 0.00001, 1234.5, 22520.4, 2e10].map(formatNumber),
    ["0", "0.4474", "0.0008", "1e-5", "1,235", "22,520", "2e+10"],
  );
  assert.deepEqual([8.44, 59.96, 127, 3900].map(formatDuration), [
    "8.4 s",
    "1 min 00 s",
    "2 min 07 s",
    "1 h 05 min",
  ]);
});

Deno.test("two evaluations are two dots with their values, three are a line", () => {
  const two = renderReport(run(100), META);
  assert.equal(count(two, '<polyline class="dots"'), 0);
  assert.equal(count(two, '<circle class="dots"'), 2);
  assert.match(two, /<text class="value start"[^>]*>2\.5</);
  assert.match(two, /<text class="value end"[^>]*>2\.125</);
  const [first] = run(100);
  const three = renderReport([...run(100), { ...first!, step: 50 } as MetricsEvent], META);
  assert.equal(count(three, '<polyline class="dots"'), 1);
  assert.equal(count(three, '<circle class="dots"'), 3);
});

Deno.test("special tokens stand back, and text that looks like markup is text", () => {
  const page = renderReport([], {
    ...META,
    samples: [{ prompt: "<|user|>\na <b> is <<2*2=4>>4<|end|>", after: "4</s>" }],
  });
  assertWellFormed(page);
  const special = [...page.matchAll(/<span class="special">([^<]*)<\/span>/g)];
  assert.deepEqual(special.map(([, text]) => text), [
    "&lt;|user|&gt;",
    "&lt;|end|&gt;",
    "&lt;/s&gt;",
  ]);
  assert.ok(page.includes("\na &lt;b&gt; is &lt;&lt;2*2=4&gt;&gt;4"));
});

Deno.test("a result that is worse than the untrained model is called so", () => {
  const worse = run(100).map((event): MetricsEvent => {
    if (event.event === "done") return { ...event, best_step: 0, best_loss: 2.5 };
    if (event.event !== "eval") return event;
    return event.step === 0 ? event : { ...event, loss: 3, exact_match: 0 };
  });
  const page = renderReport(worse, META);
  assertWellFormed(page);
  assert.match(
    page,
    /class="verdict">The result is worse than the untrained model: .* 3\.0000 now;/,
  );
  assert.match(page, /class="bad">3\.000</);
});

Deno.test("what was saved after an early stop is what is compared", () => {
  const early = run(100).flatMap((event): MetricsEvent[] => {
    if (event.event === "done") return [{ ...event, saved_step: 50, stopped_early: true }];
    if (event.event !== "eval" || event.step === 0) return [event];
    return [{ ...event, step: 50, loss: 1.75 }, { ...event, loss: 4 }];
  });
  const page = renderReport(early, META);
  assert.match(page, /Held-out loss<.*2\.500<.*1\.750</);
  assert.ok(!page.includes('class="verdict"'));
});

Deno.test("a run that broke down says why", () => {
  const broken = run(30).filter(({ event }) => event !== "done");
  const page = renderReport(broken, { ...META, failure: "The loss of step 31 is not finite" });
  assert.match(page, /Failed after 30 steps: The loss of step 31 is not finite\./);
});
