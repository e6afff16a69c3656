#include "lab/delay_line.h"

#include <algorithm>
#include <utility>

namespace weft::lab {

void DelayLine::Push(TimePoint now, std::string frame) {
  // Each frame draws the same numbers whatever becomes of it, so that a probability can be changed
  // without moving the luck of the others.
  const double lost = rng_.NextUniform();
  const double doubled = rng_.NextUniform();
  const double overtaken = rng_.NextUniform();
  const double late = rng_.NextUniform();
  if (lost < options_.loss) {
    ++counts_.lost;
    return;
  }
  const TimePoint due =
      now + options_.latency + Duration(static_cast<int64_t>(late * options_.jitter.count()));
  if (overtaken < options_.reordering) {
    ++counts_.reordered;
    Queue(due + std::max(options_.latency + options_.jitter, kLate), std::move(frame));
    return;
  }
  last_due_ = std::max(last_due_, due);
  if (doubled < options_.duplication) {
    ++counts_.duplicated;
    Queue(last_due_, frame);
  }
  Queue(last_due_, std::move(frame));
}

void DelayLine::Queue(TimePoint due, std::string frame) {
  if (waiting_bytes_ + frame.size() > options_.most_bytes) {
    ++counts_.dropped;
    return;
  }
  waiting_bytes_ += frame.size();
  waiting_.push({due, ++last_number_, std::move(frame)});
}

std::optional<TimePoint> DelayLine::Next() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.top().due;
}

std::optional<std::string> DelayLine::Pop(TimePoint now) {
  if (waiting_.empty() || waiting_.top().due > now) return std::nullopt;
  std::string frame = waiting_.top().frame;
  waiting_.pop();
  waiting_bytes_ -= frame.size();
  ++counts_.passed;
  return frame;
}

}  // namespace weft::lab
