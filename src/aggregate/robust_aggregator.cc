#include <algorithm>
#include <utility>

#include "aggregate/combine.h"
#include "aggregate/step_slots.h"
#include "aggregate/strategies.h"
#include "base/check.h"
#include "kernel/update.h"

namespace weft::aggregate {
namespace {

class RobustAggregator : public Aggregator {
 public:
  explicit RobustAggregator(const AggregatorOptions& options)
      : options_(options),
        slots_(options.count, true),
        joined_(static_cast<size_t>(options.count)) {}

  void Begin(int64_t slots, int64_t total_samples) override {
    slots_.Begin(slots, total_samples);
    held_ = 0;
  }

  Status Add(const Contribution& c) override {
    RETURN_IF_ERROR(slots_.Add(c));
    if (held_ == vectors_.size()) vectors_.emplace_back();
    std::vector<float>& copy = vectors_[held_++];
    copy.assign(c.gradient.begin(), c.gradient.end());
    if (c.weight != 1) {
      const size_t gradients = copy.size() - static_cast<size_t>(options_.statistics);
      kernel::Scale(static_cast<float>(c.weight), std::span(copy).first(gradients));
    }
    return OkStatus();
  }

  bool Ready() const override { return slots_.all(); }
  std::vector<int64_t> Added() const override { return slots_.Added(); }
  int64_t samples() const override { return slots_.samples(); }

  std::span<const float> Finish() override {
    CHECK(held_ > 0);
    const std::vector<std::span<const float>> views(vectors_.begin(),
                                                    vectors_.begin() + static_cast<long>(held_));
    if (options_.combine == Combine::kMedian) {
      Median(views, joined_);
    } else {
      TrimmedMean(views, options_.trim, joined_);
    }
    return joined_;
  }

 private:
  const AggregatorOptions options_;
  StepSlots slots_;
  std::vector<std::vector<float>> vectors_;  // the first held_ are of this step
  size_t held_ = 0;
  std::vector<float> joined_;
};

}  // namespace

std::unique_ptr<Aggregator> MakeRobust(const AggregatorOptions& options) {
  return std::make_unique<RobustAggregator>(options);
}

}  // namespace weft::aggregate
