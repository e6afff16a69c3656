#include <fmt/format.h>

#include <map>

#include "aggregate/aggregator.h"
#include "base/check.h"
#include "kernel/update.h"

namespace weft::aggregate {
namespace {

// sum = weight * gradient + (first ? 0 : sum), so that a step needs no pass to clear the sum.
void AddWeighted(float weight, bool first, std::span<const float> gradient, std::span<float> sum) {
  if (!first) return kernel::Axpy(weight, gradient, sum);
  for (size_t i = 0; i < sum.size(); ++i) sum[i] = weight * gradient[i];
}

class SyncAggregator : public Aggregator {
 public:
  SyncAggregator(int64_t n, bool ordered) : sum_(static_cast<size_t>(n)), ordered_(ordered) {}

  void Begin(int64_t slots, int64_t total_samples) override {
    CHECK(slots > 0 && total_samples > 0);
    added_.assign(static_cast<size_t>(slots), false);
    total_samples_ = total_samples;
    samples_ = 0;
    summed_ = 0;
    for (auto& [slot, early] : early_) free_.push_back(std::move(early.gradient));
    early_.clear();
  }

  Status Add(const Contribution& contribution) override {
    RETURN_IF_ERROR(Check(contribution));
    added_[static_cast<size_t>(contribution.slot)] = true;
    samples_ += contribution.samples;
    if (ordered_ && contribution.slot != summed_) {
      Keep(contribution);
      return OkStatus();
    }
    Sum(contribution.samples, contribution.gradient);
    while (!early_.empty() && early_.begin()->first == summed_) {
      Early early = std::move(early_.begin()->second);
      early_.erase(early_.begin());
      Sum(early.samples, early.gradient);
      free_.push_back(std::move(early.gradient));
    }
    return OkStatus();
  }

  bool Ready() const override {
    return !added_.empty() && summed_ == static_cast<int64_t>(added_.size());
  }

  std::vector<int64_t> Added() const override {
    std::vector<int64_t> slots;
    for (size_t slot = 0; slot < added_.size(); ++slot) {
      if (added_[slot]) slots.push_back(static_cast<int64_t>(slot));
    }
    return slots;
  }

  std::span<const float> Finish() override {
    CHECK(Ready());
    CHECK_EQ(samples_, total_samples_);
    return sum_;
  }

 private:
  struct Early {
    int64_t samples = 0;
    std::vector<float> gradient;
  };

  Status Check(const Contribution& c) const {
    const auto slots = static_cast<int64_t>(added_.size());
    if (c.slot < 0 || c.slot >= slots) {
      return base::InvalidArgument(fmt::format("slot: got {}, want 0..{}", c.slot, slots - 1));
    }
    if (c.gradient.size() != sum_.size()) {
      return base::InvalidArgument(
          fmt::format("gradient: got {} values, want {}", c.gradient.size(), sum_.size()));
    }
    if (added_[static_cast<size_t>(c.slot)]) {
      return {Code::kAlreadyExists, fmt::format("slot {} is in the step already", c.slot)};
    }
    if (c.samples <= 0 || c.samples > total_samples_ - samples_) {
      return base::InvalidArgument(
          fmt::format("samples: got {}, want 1..{}", c.samples, total_samples_ - samples_));
    }
    return OkStatus();
  }

  void Sum(int64_t samples, std::span<const float> gradient) {
    const auto weight =
        static_cast<float>(static_cast<double>(samples) / static_cast<double>(total_samples_));
    AddWeighted(weight, summed_ == 0, gradient, sum_);
    ++summed_;
  }

  void Keep(const Contribution& c) {
    std::vector<float> copy;
    if (!free_.empty()) {
      copy = std::move(free_.back());
      free_.pop_back();
    }
    copy.assign(c.gradient.begin(), c.gradient.end());
    early_.emplace(c.slot, Early{c.samples, std::move(copy)});
  }

  std::vector<float> sum_;
  const bool ordered_;
  std::vector<bool> added_;
  int64_t total_samples_ = 0;
  int64_t samples_ = 0;  // added so far
  int64_t summed_ = 0;   // contributions in sum_; if ordered, those of slots 0..summed_-1
  std::map<int64_t, Early> early_;
  std::vector<std::vector<float>> free_;  // memory of early arrivals, used again
};

}  // namespace

std::unique_ptr<Aggregator> MakeSyncAggregator(int64_t n, bool ordered) {
  return std::make_unique<SyncAggregator>(n, ordered);
}

}  // namespace weft::aggregate
