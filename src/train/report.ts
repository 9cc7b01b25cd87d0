/** `report.html`: a finished or stopped run on one page that needs nothing else, not even a network. */

import type { MetricsEvent } from "./metrics.ts";
import { Markup, markup } from "./report/markup.ts";
import {
  charts,
  configuration,
  facts,
  type ReportSample,
  samples,
  statusOf,
  tiles,
  verdict,
} from "./report/sections.ts";
import { STYLE } from "./report/style.ts";
import type { ConfigValue } from "./recorded_run.ts";

export type { ReportSample } from "./report/sections.ts";

/** What the report tells besides the metrics. */
export interface ReportMeta {
  /** Name of the run. */
  title: string;
  /** Label → value: the model, the device, the program's version … */
  facts: Readonly<Record<string, string>>;
  config: Readonly<Record<string, ConfigValue>>;
  /** Held-out prompts answered before and after training. */
  samples?: readonly ReportSample[];
  /** Why the run broke down, where it did. */
  failure?: string;
}

/**
 * Renders the page.
 *
 * @param metrics the events of `metrics.jsonl`, in order.
 * @returns a self-contained HTML document; all text in it is escaped.
 */
export function renderReport(metrics: readonly MetricsEvent[], meta: ReportMeta): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${meta.title} · spiel</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<main>
<h1>${meta.title}</h1>
<p class="status">${statusOf(metrics, meta.failure)}</p>
${verdict(metrics)}
${tiles(metrics)}
<h2>Training</h2>
${charts(metrics)}
${samples(meta.samples ?? [])}
<h2>Run</h2>
${facts(metrics, meta.facts)}
<h2>Configuration</h2>
<p class="lead">What was chosen, and where each value came from.</p>
${configuration(meta.config)}
</main>
</body>
</html>
`.text;
}
