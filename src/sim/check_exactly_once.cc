#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "sim/checker.h"
#include "sim/range_lines.h"

namespace weft::sim {
namespace {

constexpr size_t kMostSaved = 64;  // checkpoints; the newest are on the disk

class ExactlyOnce : public Checker {
 public:
  explicit ExactlyOnce(const cluster::JobSpec& spec)
      : spec_(spec), lines_(spec.parameter_count()) {}
  std::string_view name() const override { return "exactly-once"; }

  void OnHubStarted(TimePoint, uint64_t term, int64_t first_step) override {
    term_ = term;
    lines_.VisitAll([&](Line& line) { line.GoOnFrom(first_step); });
  }

  // As a leader says it first: once it has, a checkpoint may hold the step, even if the process
  // dies before the coordinator hears of it.
  void OnSent(TimePoint now, const cluster::Envelope& envelope) override {
    const auto* step = std::get_if<cluster::BeginStep>(&envelope.message);
    if (step != nullptr && step->checkpoint && step->leases.empty() && step->term == term_) {
      lines_.VisitRange(step->range, [&](Line& line) { line.Save(step->step + 1); });
    }
    const auto* end = std::get_if<cluster::EndStream>(&envelope.message);
    if (end != nullptr && end->checkpoint && end->term == term_) {
      lines_.VisitRange(end->range, [&](Line& line) { line.Save(end->step); });
    }
    const auto* record = std::get_if<cluster::Committed>(&envelope.message);
    if (record == nullptr || !record->problem.empty() || record->term != term_) return;
    CheckSum(now, *record);
    lines_.VisitRange(record->range, [&](Line& line) { line.Cover(*record); });
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

  // What is applied to a stretch of the vector.
  struct Line {
    std::vector<Stretch> covered;    // by step
    std::vector<Stretch> abandoned;  // of the steps that were undone, those that reached furthest
    std::map<int64_t, std::vector<Stretch>>
        saved;             // covered, by the step a checkpoint goes on from
    int64_t version = -1;  // of the newest record under this term

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
    // A checkpoint is asked for, of what is applied now.
    void Save(int64_t step) {
      saved[step] = covered;
      if (saved.size() > kMostSaved) saved.erase(saved.begin());
    }
    // Where it is not known what the checkpoint holds, its step says it: that of a stream may be
    // far beyond the last lease that was applied.
    void GoOnFrom(int64_t step) {
      version = -1;
      const auto known = saved.find(step);
      if (known == saved.end() && step > Reached(covered)) TakeUp(step);
      std::vector<Stretch> undone = CutAt(step, &covered);
      if (Reached(undone) > Reached(abandoned)) abandoned = std::move(undone);
      if (known != saved.end()) covered = known->second;
    }
    // A checkpoint of steps that an earlier start had undone stands on the disk; where the pointer
    // to the last one is torn, the hub goes on from there, and what it holds counts again.
    void TakeUp(int64_t step) {
      if (abandoned.empty()) return;
      CutAt(abandoned.front().step, &covered);
      covered.insert(covered.end(), abandoned.begin(), abandoned.end());
      CutAt(step, &covered);
    }
    // A record may be told again, by a leader or by the standby that took over from it.
    void Cover(const cluster::Committed& record) {
      if (record.version <= version) return;
      version = record.version;
      std::vector<cluster::Lease> leases = record.leases;
      std::ranges::sort(leases, {}, &cluster::Lease::begin);
      // Leases of a stream commit in any order, but those of one all before those of the next.
      const int64_t step = std::max(record.step, Reached(covered) - 1);
      for (const cluster::Lease& lease : leases) {
        Stretch* last = covered.empty() ? nullptr : &covered.back();
        const bool goes_on = last != nullptr && last->step == step && last->epoch == lease.epoch &&
                             last->end == lease.begin;
        if (goes_on) {
          last->end += lease.count;
        } else {
          covered.push_back({step, lease.epoch, lease.begin, lease.begin + lease.count});
        }
      }
    }
    // What is wrong with the epoch, of which so many positions may be in no lease.
    std::optional<std::string> ProblemOf(int64_t epoch, int64_t samples, int64_t absent) const;
  };

  void CheckSum(TimePoint now, const cluster::Committed& record) {
    int64_t samples = 0;
    for (const cluster::Lease& lease : record.leases) samples += lease.count;
    if (samples == record.samples) return;
    Violate(now, fmt::format("step {} is recorded with {} samples; want the {} of its leases",
                             record.step, record.samples, samples));
  }

  void CheckEpoch(TimePoint now, const cluster::EpochDone& done) {
    absent_[done.epoch] = done.absent;
    CountEpoch(now, done.epoch);
    if (done.absent > 0 && spec_.shard_samples.empty()) {
      Violate(now, fmt::format("epoch {}: {} samples are said to be on devices that are not here; "
                               "want none, as every device has all",
                               done.epoch, done.absent));
    }
    if (done.lost == 0 && done.duplicated == 0) return;
    Violate(now, fmt::format("epoch {}: the ledger says {} lost, {} duplicated; want none",
                             done.epoch, done.lost, done.duplicated));
  }

  // Says of the first stretch of the vector, and of it the first positions, that are wrong.
  void CountEpoch(TimePoint now, int64_t epoch) {
    const auto absent = absent_.find(epoch);
    for (const auto& [begin, line] : lines_.lines()) {
      const auto problem =
          line.ProblemOf(epoch, spec_.samples, absent == absent_.end() ? 0 : absent->second);
      if (!problem) continue;
      const bool whole = lines_.lines().size() == 1;
      return Violate(now,
                     fmt::format("epoch {}{}: {}", epoch,
                                 whole ? "" : fmt::format(", values from {} on", begin), *problem));
    }
  }

  const cluster::JobSpec spec_;
  uint64_t term_ = 0;
  RangeLines<Line> lines_;
  std::map<int64_t, int64_t> absent_;  // by epoch
};

std::optional<std::string> ExactlyOnce::Line::ProblemOf(int64_t epoch, int64_t samples,
                                                        int64_t absent) const {
  // Epochs follow each other in a line of history, so an epoch's stretches stand together.
  const auto [first, last] = std::ranges::equal_range(covered, epoch, {}, &Stretch::epoch);
  std::vector<Stretch> stretches(first, last);
  std::ranges::sort(stretches, {}, &Stretch::begin);
  stretches.push_back({-1, epoch, samples, samples});
  int64_t end = 0;
  int64_t missing = 0;
  for (const Stretch& stretch : stretches) {
    const bool twice = stretch.begin < end;
    missing += std::max<int64_t>(stretch.begin - end, 0);
    if (twice || (stretch.begin > end && absent == 0)) {
      const auto [low, high] = std::minmax(stretch.begin, end);
      return fmt::format("positions {} to {} are in {} committed lease; want one", low, high - 1,
                         twice ? "more than one" : "no");
    }
    end = stretch.end;
  }
  if (missing == absent) return std::nullopt;
  return fmt::format("{} positions are in no committed lease; want {}, those that are absent",
                     missing, absent);
}

}  // namespace

std::unique_ptr<Checker> MakeExactlyOnceChecker(const cluster::JobSpec& spec) {
  return std::make_unique<ExactlyOnce>(spec);
}

}  // namespace weft::sim
