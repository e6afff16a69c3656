#include <map>
#include <utility>

#include "aggregate/step_slots.h"
#include "aggregate/strategies.h"
#include "base/check.h"
#include "kernel/update.h"

namespace weft::aggregate {
namespace {

// sum = weight * gradient + (first ? 0 : sum), so that a step needs no pass to clear the sum.
void AddWeighted(float weight, bool first, std::span<const float> gradient, std::span<float> sum) {
  if (!first) return kernel::Axpy(weight, gradient, sum);
  for (size_t i = 0; i < sum.size(); ++i) sum[i] = weight * gradient[i];
}

class MeanAggregator : public Aggregator {
 public:
  explicit MeanAggregator(const AggregatorOptions& options)
      : slots_(options.count, options.ordered),
        sum_(static_cast<size_t>(options.count)),
        statistics_(static_cast<size_t>(options.statistics)),
        ordered_(options.ordered) {}

  void Begin(int64_t slots, int64_t total_samples) override {
    slots_.Begin(slots, total_samples);
    summed_ = 0;
    finished_ = false;
    for (auto& [slot, early] : early_) free_.push_back(std::move(early.gradient));
    early_.clear();
  }

  Status Add(const Contribution& contribution) override {
    RETURN_IF_ERROR(slots_.Add(contribution));
    const double parts = static_cast<double>(contribution.samples) * contribution.weight;
    if (ordered_ && contribution.slot != summed_) {
      Keep(contribution, parts);
      return OkStatus();
    }
    Sum(parts, contribution.gradient);
    while (!early_.empty() && early_.begin()->first == summed_) SumFirstEarly();
    return OkStatus();
  }

  bool Ready() const override { return slots_.all(); }
  std::vector<int64_t> Added() const override { return slots_.Added(); }
  int64_t samples() const override { return slots_.samples(); }

  std::span<const float> Finish() override {
    CHECK(slots_.any() && !finished_);
    finished_ = true;
    while (!early_.empty()) SumFirstEarly();
    const auto total = static_cast<double>(slots_.total_samples());
    const std::span<float> all(sum_);
    const size_t gradients = sum_.size() - statistics_;
    Normalise(total, static_cast<double>(slots_.samples()), all.first(gradients));
    Normalise(total, slots_.weighted_samples(), all.subspan(gradients));
    return sum_;
  }

 private:
  struct Early {
    double parts = 0;
    std::vector<float> gradient;
  };

  // The sum was divided by `total`; it is a mean of `came`.
  static void Normalise(double total, double came, std::span<float> values) {
    if (came != total) kernel::Scale(static_cast<float>(total / came), values);
  }

  void Sum(double parts, std::span<const float> gradient) {
    const auto weight = static_cast<float>(parts / static_cast<double>(slots_.total_samples()));
    AddWeighted(weight, summed_ == 0, gradient, sum_);
    ++summed_;
  }

  void SumFirstEarly() {
    Early early = std::move(early_.begin()->second);
    early_.erase(early_.begin());
    Sum(early.parts, early.gradient);
    free_.push_back(std::move(early.gradient));
  }

  void Keep(const Contribution& c, double parts) {
    std::vector<float> copy;
    if (!free_.empty()) {
      copy = std::move(free_.back());
      free_.pop_back();
    }
    copy.assign(c.gradient.begin(), c.gradient.end());
    early_.emplace(c.slot, Early{parts, std::move(copy)});
  }

  StepSlots slots_;
  std::vector<float> sum_;
  const size_t statistics_;
  const bool ordered_;
  bool finished_ = false;
  int64_t summed_ = 0;  // contributions in sum_; if ordered, those of slots 0..summed_-1
  std::map<int64_t, Early> early_;
  std::vector<std::vector<float>> free_;  // memory of early arrivals, used again
};

}  // namespace

std::unique_ptr<Aggregator> MakeMean(const AggregatorOptions& options) {
  return std::make_unique<MeanAggregator>(options);
}

}  // namespace weft::aggregate
