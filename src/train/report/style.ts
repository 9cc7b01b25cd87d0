/** The report's style: one sheet for light and dark, no font or image from elsewhere. */

/** CSS of the page. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --line: #e2e5ea; --text: #1c2430; --soft: #5d6876;
  --train: #2563eb; --eval: #d9480f; --marker: #9aa4b2; --good: #0f7b46; --bad: #b42318;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1a2029; --line: #2c3440; --text: #e6eaf0; --soft: #9ba6b4;
    --train: #7aa8ff; --eval: #ff9a57; --marker: #66717f; --good: #5fd39a; --bad: #ff8a80;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 36px 0 12px; }
.status { color: var(--soft); margin: 6px 0 24px; overflow-wrap: anywhere; }
.verdict { color: var(--bad); margin: -12px 0 24px; overflow-wrap: anywhere; }
.lead { color: var(--soft); margin: -6px 0 12px; font-size: 14px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(200px, 100%), 1fr)); gap: 12px; }
.tile, figure, .panel {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
}
.tile { padding: 12px 14px; min-width: 0; overflow-wrap: anywhere; }
.tile dt { color: var(--soft); font-size: 13px; }
.tile dd { margin: 2px 0 0; font-size: 18px; font-weight: 600; font-variant-numeric: tabular-nums; }
.tile .was { color: var(--soft); font-weight: 400; }
.tile .arrow { color: var(--soft); font-weight: 400; }
.tile small { display: block; color: var(--soft); font-size: 13px; font-weight: 400; line-height: 1.35; }
.tile .good { color: var(--good); } .tile .bad { color: var(--bad); }
.charts { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; }
.charts figure:first-child { grid-column: 1 / -1; }
@media (max-width: 760px) {
  .charts { grid-template-columns: minmax(0, 1fr); }
  .charts figure:first-child { overflow-x: auto; }
  .charts figure:first-child svg { min-width: 640px; }
}
figure { margin: 0; padding: 14px 16px 8px; min-width: 0; display: flex; flex-direction: column; }
figure svg { margin-top: auto; padding-top: 8px; }
figcaption { font-weight: 600; font-size: 14px; display: flex; flex-wrap: wrap; gap: 4px 16px; }
.hint { color: var(--soft); font-size: 13px; line-height: 1.4; margin: 4px 0 0; max-width: 90ch; }
.legend { font-weight: 400; color: var(--soft); display: flex; gap: 14px; font-size: 13px; }
.key::before {
  content: ""; display: inline-block; width: 14px; height: 3px; border-radius: 2px;
  margin-right: 6px; vertical-align: middle; background: var(--train);
}
.key.dots::before { background: var(--eval); width: 8px; height: 8px; border-radius: 50%; }
.key.marker::before { background: var(--marker); width: 1px; height: 12px; }
svg { display: block; width: 100%; height: auto; margin-top: 6px; overflow: visible; }
svg text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
svg text.y, svg text.end { text-anchor: end; } svg text.x { text-anchor: middle; }
svg text.value { fill: var(--text); paint-order: stroke; stroke: var(--card); stroke-width: 3px; }
.grid { stroke: var(--line); } .axis { stroke: var(--marker); }
line.marker { stroke: var(--marker); stroke-dasharray: 2 3; pointer-events: stroke; }
polyline { fill: none; stroke-width: 2; stroke-linejoin: round; stroke: var(--train); }
polyline.faint { stroke-width: 1; opacity: 0.35; }
polyline.dots { stroke: var(--eval); stroke-width: 1.5; }
circle { fill: var(--train); stroke: var(--card); stroke-width: 1.5; }
circle.dots { fill: var(--eval); }
.empty { color: var(--soft); margin: 8px 0; }
.panel { padding: 4px 16px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: 13px; }
th, td { padding: 7px 16px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child > * { border-bottom: 0; }
.facts th { width: 1%; white-space: nowrap; padding-right: 32px; }
td.origin { color: var(--soft); overflow-wrap: anywhere; }
code, pre { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
code { overflow-wrap: anywhere; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.sample { padding: 14px 16px; margin-bottom: 12px; }
.special { opacity: 0.45; }
.sample pre.prompt { color: var(--soft); margin-bottom: 10px; }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 12px 24px; }
.answers h3 { font-size: 13px; font-weight: 500; color: var(--soft); margin: 0 0 2px; }
details summary { cursor: pointer; color: var(--soft); padding: 8px 0; font-size: 14px; }
`;
