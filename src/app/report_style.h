#pragma once
// The style sheet of report.html.

namespace weft::app {

inline constexpr char kReportStyle[] = R"css(
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1c2430; --faint: #5b6675; --rule: #d9dee5;
  --tile: #f4f6f9; --one: #1f5fbf; --two: #c2560c; --hit: 31, 95, 191; --miss: 194, 86, 12; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181e; --ink: #e4e8ee; --faint: #9aa5b3; --rule: #333b46; --tile: #1d232b; --one: #7fb0ff;
    --two: #ffa45c; --hit: 70, 130, 230; --miss: 230, 120, 40; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 70rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { margin: 0; font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.15rem; }
.faint { margin: .2rem 0; color: var(--faint); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; margin-top: 1.2rem; }
.tiles div { padding: .7rem .9rem; border-radius: .5rem; background: var(--tile); }
.tiles b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--faint); font-size: .85rem; }
.problem { padding: .7rem .9rem; border-left: 4px solid var(--two); background: var(--tile); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1.2rem; }
figure { margin: 0; }
figcaption { font-weight: 600; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--faint); font-size: 12px; }
.grid { stroke: var(--rule); }
.line0, .line1 { fill: none; stroke-width: 2; stroke-linejoin: round; stroke: var(--one); }
.line1 { stroke: var(--two); }
.dot0 { fill: var(--one); }
.dot1 { fill: var(--two); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: 600; text-align: left; }
td, th { padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
.numbers td:nth-child(n + 3), .numbers th:nth-child(n + 3) { text-align: right; }
.facts td { overflow-wrap: anywhere; }
.confusion td, .confusion th { padding: .25rem .4rem; border: 1px solid var(--paper); font-size: .85rem; }
.confusion td { min-width: 2.3rem; text-align: right; background: var(--tile); }
.confusion thead th { vertical-align: bottom; }
.confusion thead th span { display: inline-block; writing-mode: vertical-rl; transform: rotate(180deg); padding: .3rem 0; }
.confusion .hit { background: rgba(var(--hit), var(--share)); }
.confusion .miss { background: rgba(var(--miss), var(--share)); }
.confusion .strong { color: #ffffff; }
.confusion .sum { background: none; color: var(--faint); }
summary { overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: .8rem; border-radius: .5rem; background: var(--tile); font-size: .8rem; }
)css";

}  // namespace weft::app
