#include "sim/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/check.h"

namespace weft::sim {
namespace {

constexpr int kSlotBits = 24;
constexpr uint64_t kMostWaiting = uint64_t{1} << kSlotBits;
constexpr size_t kFanOut = 4;  // four keys are a cache line

}  // namespace

void Loop::At(TimePoint when, std::function<void()> run) {
  uint32_t slot = 0;
  if (free_.empty()) {
    slot = static_cast<uint32_t>(work_.size());
    CHECK(slot < kMostWaiting) << "too many events wait";
    work_.push_back(std::move(run));
  } else {
    slot = free_.back();
    free_.pop_back();
    work_[slot] = std::move(run);
  }
  const Key key{std::max(when, now_).ns, made_++ << kSlotBits | slot};
  heap_.push_back(key);
  SiftUp(heap_.size() - 1, key);
}

bool Loop::Step(TimePoint end) {
  if (heap_.empty() || heap_.front().when > end.ns) return false;
  const Key first = heap_.front();
  const Key last = heap_.back();
  heap_.pop_back();
  if (!heap_.empty()) SiftDown(last);
  const auto slot = static_cast<uint32_t>(first.order % kMostWaiting);
  const std::function<void()> run = std::exchange(work_[slot], nullptr);
  free_.push_back(slot);
  now_.ns = first.when;
  ++events_;
  run();
  return true;
}

// Puts the key in the hole at `at`, or above.
void Loop::SiftUp(size_t at, Key key) {
  while (at > 0) {
    const size_t parent = (at - 1) / kFanOut;
    if (!(key < heap_[parent])) break;
    heap_[at] = heap_[parent];
    at = parent;
  }
  heap_[at] = key;
}

// The same from the top. The key was the last, so its place is most likely at the bottom.
void Loop::SiftDown(Key key) {
  size_t at = 0;
  for (;;) {
    const size_t first = at * kFanOut + 1;
    if (first >= heap_.size()) break;
    const size_t end = std::min(first + kFanOut, heap_.size());
    size_t least = first;
    for (size_t i = first + 1; i < end; ++i) {
      if (heap_[i] < heap_[least]) least = i;
    }
    heap_[at] = heap_[least];
    at = least;
  }
  SiftUp(at, key);
}

void Loop::Mix(std::initializer_list<uint64_t> words) {
  uint64_t hash = base::Mix(trace_hash_ + static_cast<uint64_t>(now_.ns));
  for (uint64_t word : words) hash = base::Mix(hash * 0x9E3779B97F4A7C15ULL + word);
  trace_hash_ = hash;
}

void Loop::Trace(std::string_view line) {
  Mix({base::Fnv1a(base::AsBytes(line))});
  if (verbose_) Print(line);
}

void Loop::Print(std::string_view line) const {
  fmt::print(stderr, "{:10.6f} {}\n", static_cast<double>(now_.ns) * 1e-9, line);
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
