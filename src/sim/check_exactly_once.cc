#include <fmt/format.h>

#include <algorithm>

#include "sim/checker.h"

namespace weft::sim {
namespace {

class ExactlyOnce : public Checker {
 public:
  explicit ExactlyOnce(const cluster::JobSpec& spec) : spec_(spec) {}
  std::string_view name() const override { return "exactly-once"; }

  void OnHubStarted(TimePoint, uint64_t, int64_t first_step) override {
    if (first_step > Reached(covered_)) TakeUp(first_step);
    std::vector<Stretch> undone = CutAt(first_step, &covered_);
    if (Reached(undone) > Reached(abandoned_)) abandoned_ = std::move(undone);
  }

  // As the leader says it: once it has, a checkpoint may hold the step, even if the process dies
  // before the coordinator hears of it.
  void OnSent(TimePoint now, const cluster::Envelope& envelope) override {
    const auto* committed = std::get_if<cluster::Committed>(&envelope.message);
    if (committed != nullptr && committed->problem.empty()) Cover(now, *committed);
  }

  void OnEvent(TimePoint now, const cluster::Event& event) override {
    if (const auto* epoch = std::get_if<cluster::EpochDone>(&event)) CheckEpoch(now, *epoch);
    const auto* done = std::get_if<cluster::RunDone>(&event);
    if (done == nullptr || done->how != cluster::RunDone::How::kCompleted) return;
    for (int64_t epoch = 0; epoch < spec_.epochs; ++epoch) CountEpoch(now, epoch);
  }

 private:
  // Positions of an epoch that a step has applied.
  struct Stretch {
    int64_t step = 0;
    int64_t epoch = 0;
    int64_t begin = 0;
    int64_t end = 0;
  };

  // The step after the last.
  static int64_t Reached(const std::vector<Stretch>& line) {
    return line.empty() ? 0 : line.back().step + 1;
  }
  // Takes off the steps from this one on.
  static std::vector<Stretch> CutAt(int64_t step, std::vector<Stretch>* line) {
    const auto from = std::ranges::lower_bound(*line, step, {}, &Stretch::step);
    std::vector<Stretch> rest(from, line->end());
    line->erase(from, line->end());
    return rest;
  }
  // A checkpoint of steps that an earlier start had undone stands on the disk; where the pointer to
  // the last one is torn, the hub goes on from there, and what it holds counts again.
  void TakeUp(int64_t step) {
    if (abandoned_.empty()) return;
    CutAt(abandoned_.front().step, &covered_);
    covered_.insert(covered_.end(), abandoned_.begin(), abandoned_.end());
    CutAt(step, &covered_);
  }

  void Cover(TimePoint now, const cluster::Committed& committed) {
    std::vector<cluster::Lease> leases = committed.leases;
    std::ranges::sort(leases, {}, &cluster::Lease::begin);
    int64_t samples = 0;
    for (const cluster::Lease& lease : leases) {
      samples += lease.count;
      Stretch* last = covered_.empty() ? nullptr : &covered_.back();
      const bool goes_on = last != nullptr && last->step == committed.step &&
                           last->epoch == lease.epoch && last->end == lease.begin;
      if (goes_on) {
        last->end += lease.count;
      } else {
        covered_.push_back({committed.step, lease.epoch, lease.begin, lease.begin + lease.count});
      }
    }
    if (samples == committed.samples) return;
    Violate(now, fmt::format("step {} is recorded with {} samples; want the {} of its leases",
                             committed.step, committed.samples, samples));
  }

  void CheckEpoch(TimePoint now, const cluster::EpochDone& done) {
    CountEpoch(now, done.epoch);
    if (done.lost == 0 && done.duplicated == 0) return;
    Violate(now, fmt::format("epoch {}: the ledger says {} lost, {} duplicated; want none",
                             done.epoch, done.lost, done.duplicated));
  }

  // Says of the first stretch that is not covered once.
  void CountEpoch(TimePoint now, int64_t epoch) {
    // Epochs follow each other in a line of history, so an epoch's stretches stand together.
    const auto [first, last] = std::ranges::equal_range(covered_, epoch, {}, &Stretch::epoch);
    std::vector<Stretch> stretches(first, last);
    std::ranges::sort(stretches, {}, &Stretch::begin);
    stretches.push_back({-1, epoch, spec_.samples, spec_.samples});
    int64_t end = 0;
    for (const Stretch& stretch : stretches) {
      if (stretch.begin != end) {
        const auto [low, high] = std::minmax(stretch.begin, end);
        Violate(now,
                fmt::format("epoch {}: positions {} to {} are in {} committed lease; want one",
                            epoch, low, high - 1, stretch.begin > end ? "no" : "more than one"));
        return;
      }
      end = stretch.end;
    }
  }

  const cluster::JobSpec spec_;
  std::vector<Stretch> covered_;    // by step
  std::vector<Stretch> abandoned_;  // of the steps that were undone, those that reached furthest
};

}  // namespace

std::unique_ptr<Checker> MakeExactlyOnceChecker(const cluster::JobSpec& spec) {
  return std::make_unique<ExactlyOnce>(spec);
}

}  // namespace weft::sim
