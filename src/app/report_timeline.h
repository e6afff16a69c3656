#pragma once
// TimelinePicture: the timeline of a simulated run as HTML and SVG: samples a second, the
// coordinator, and a row a device with its computing, its transfers and its times off.

#include <string>
#include <vector>

#include "app/sim_timeline.h"

namespace weft::app {

inline constexpr size_t kMostTimelineRows = 40;

// Numbers of the rows to show, rising: all, or of many the ten whose processes ended most often,
// the ten that computed most and the ten that computed least, and others evenly spread.
std::vector<size_t> TellingRows(const Timeline& timeline, size_t most);

// With its legend; colours come from kTimelineStyle. The timeline must be finished.
std::string TimelinePicture(const Timeline& timeline);

// To stand behind kReportStyle.
inline constexpr char kTimelineStyle[] = R"css(
:root { --send: #c2560c; --receive: #0f7c6c; --idle: #e6ebf2; --off: #9aa5b3; --bad: #c22b2b; --good: #2c7a3f; }
@media (prefers-color-scheme: dark) {
  :root { --send: #ffa45c; --receive: #4fc9b4; --idle: #262e38; --off: #5b6675; --bad: #ff7b72; --good: #7ee08f; }
}
.timeline { margin-top: .6rem; }
.charts figure { max-width: 36rem; }
.sim td:nth-child(n + 2), .sim th:nth-child(n + 2) { text-align: right; }
.timeline .idle { fill: var(--idle); }
.timeline .off { fill: url(#off); }
.timeline .hatch { stroke: var(--off); stroke-width: 1.4; }
.timeline .compute { fill: var(--one); }
.timeline .send { fill: var(--send); }
.timeline .receive { fill: var(--receive); }
.timeline .samples { fill: var(--one); fill-opacity: .35; stroke: var(--one); }
.timeline .epoch { stroke: var(--faint); stroke-dasharray: 2 3; }
.timeline .join { fill: var(--good); }
.timeline .end { stroke: var(--bad); stroke-width: 1.6; fill: none; }
.timeline .name { font-size: 11px; fill: var(--ink); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: .4rem 0; color: var(--faint); font-size: .85rem; }
.legend span { display: inline-flex; align-items: center; gap: .35rem; }
.legend svg { width: 18px; height: 12px; }
)css";

}  // namespace weft::app
