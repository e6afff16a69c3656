#include "sim/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace weft::sim {

void Loop::At(TimePoint when, std::function<void()> run) {
  events_.push({std::max(when, now_), made_++, std::move(run)});
}

bool Loop::Step(TimePoint end) {
  if (events_.empty() || events_.top().when > end) return false;
  const Event event = events_.top();
  events_.pop();
  now_ = event.when;
  event.run();
  return true;
}

void Loop::Trace(std::string_view line) {
  trace_hash_ = base::Fnv1a(base::AsBytes(fmt::format("{} {}\n", now_.ns, line)), trace_hash_);
  if (verbose_) fmt::print(stderr, "{:10.6f} {}\n", static_cast<double>(now_.ns) * 1e-9, line);
}

Duration RandomDuration(base::Rng& rng, Duration least, Duration most) {
  const auto width = static_cast<uint64_t>((most - least).count()) + 1;
  return least + Duration(static_cast<int64_t>(rng.NextBelow(width)));
}

Duration RandomWait(base::Rng& rng, Duration mean) {
  const double scale = -std::log(1.0 - rng.NextUniform());
  return Duration(static_cast<int64_t>(scale * static_cast<double>(mean.count())));
}

}  // namespace weft::sim
