#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>

#include "aggregate/aggregator.h"
#include "aggregate/staleness.h"
#include "base/check.h"
#include "cluster/describe.h"
#include "cluster/leader.h"
#include "cluster/range_state.h"
#include "cluster/shard_memory.h"
#include "cluster/step_plan.h"
#include "codec/codec.h"
#include "sim/checker.h"
#include "sim/optimizer_states.h"

namespace weft::sim {
namespace {

using cluster::Address;
using cluster::Range;
using cluster::Shard;

// Versions of a range that a standby is compared with.
constexpr size_t kVersionsKept = 32;
// Steps for which an update may still be applied after a later one was.
constexpr int64_t kStepsKept = 2;
constexpr int64_t kStepsKeptLate = 64;  // where late updates count

class AppliedSum : public Checker {
 public:
  explicit AppliedSum(const cluster::JobSpec& spec)
      : spec_(spec),
        all_{0, spec.parameter_count()},
        codec_(codec::MakeCodec(spec.codec_up).value()),
        corrects_momentum_(
            cluster::CorrectsMomentum(spec.codec_up, spec.aggregation, spec.optimizer)),
        total_steps_(cluster::StepPlan(spec).total_steps()),
        states_(&spec_) {}
  std::string_view name() const override { return "applied-sum"; }

  void OnHubStarted(TimePoint, uint64_t term, int64_t first_step) override {
    // What it died with may not have been seen.
    const auto unseen = [](const auto& entry) { return !entry.second.empty(); };
    if (std::ranges::any_of(told_, unseen)) states_.NoteGap();
    term_ = term;
    first_step_ = first_step;
    acknowledged_.clear();
    pushes_.clear();
    told_.clear();
    seen_.clear();
    books_.clear();
    bits_.clear();
    memories_.clear();
    leaders_.clear();
    layout_ = {{spec_.leader, all_}};
    fresh_ = true;
  }

  void OnEvent(TimePoint, const cluster::Event& event) override {
    const auto* saved = std::get_if<cluster::CheckpointSaved>(&event);
    if (saved != nullptr) states_.Forget(saved->step);
    if (const auto* changed = std::get_if<cluster::LeadersChanged>(&event)) {
      layout_.clear();
      for (const auto& part : changed->parts) layout_.insert({part.leader, part.range});
    }
  }

  void OnSent(TimePoint now, const cluster::Envelope& envelope) override {
    if (const auto* push = std::get_if<cluster::Push>(&envelope.message)) {
      if (push->gradient != nullptr) pushes_[{push->device, push->sequence}] = *push;
    } else if (const auto* ack = std::get_if<cluster::PushAck>(&envelope.message)) {
      if (ack->applied) acknowledged_[envelope.from].push_back({envelope.to.device, ack->sequence});
    } else if (const auto* record = std::get_if<cluster::Committed>(&envelope.message)) {
      if (record->problem.empty() && record->term == term_) Told(now, envelope.from, *record);
    } else if (const auto* copy = std::get_if<cluster::Replicate>(&envelope.message)) {
      if (copy->term == term_ && LeadsNow(envelope.from, copy->range)) Copied(*copy);
    } else if (std::holds_alternative<cluster::BeginStream>(envelope.message)) {
      streams_ = true;
    } else if (std::holds_alternative<cluster::BeginStep>(envelope.message)) {
      streams_ = false;
    }
  }

  void OnHubRest(TimePoint now, const cluster::Coordinator&,
                 const cluster::Leader& leader) override {
    if (std::exchange(fresh_, false)) Begin(now, leader);
    Look(now, leader);
  }
  void OnLeaderRest(TimePoint now, int, const cluster::Leader& leader) override {
    if (leader.term() == term_) Look(now, leader);
  }

 private:
  using Key = std::pair<cluster::DeviceId, uint64_t>;  // device, sequence
  // A version of a range, as it was told of.
  struct Step {
    int64_t step = 0;
    int64_t samples = 0;
    std::vector<Key> updates;
    bool in_stream = false;
    // What the updates make; empty: not worked out.
    std::vector<float> combined;
    double rate = 0;
    double fraction = 1;
    double largest = 0;  // |value| of the updates
  };
  // A range on one device.
  struct Book {
    bool leads = false;
    bool sound = false;  // the optimizer's memory is known
    int64_t version = 0;
    int64_t next_step = 0;
    std::vector<float> parameters;
    std::optional<engine::Optimizer> optimizer;
    cluster::Progress progress{0};
  };
  using Place = std::pair<Address, Range>;

  Range Named(const Range& range) const { return range.count == 0 ? all_ : range; }

  engine::Optimizer FreshOptimizer(const Range& range) const {
    return engine::Optimizer(cluster::UpdateRule(spec_),
                             static_cast<int64_t>(cluster::ShapeOf(spec_, range).trainable),
                             cluster::StatisticsOf(spec_, range));
  }

  // ---- what is told

  Step StepOf(const cluster::Committed& record) const {
    return {.step = record.step,
            .samples = record.samples,
            .updates = {},
            .in_stream = streams_,
            .combined = {}};
  }

  // Of a leader without a standby: those that it has just acknowledged.
  void Told(TimePoint now, Address from, const cluster::Committed& record) {
    const std::vector<Key> keys = std::exchange(acknowledged_[from], {});
    const Range range = Named(record.range);
    if (!LeadsNow(from, range)) return;
    auto& versions = told_[range];
    if (versions.contains(record.version)) return;  // by a Replicate, or before
    const auto book = books_.find({from, range});
    if (book != books_.end() && book->second.version >= record.version) return;
    Step step = StepOf(record);
    int64_t samples = 0;
    bool known = true;
    for (const Key& key : keys) {
      const auto push = pushes_.find(key);
      known &= push != pushes_.end();
      if (push == pushes_.end() || Named(push->second.range) != range) continue;
      if (!Names(record, push->second)) continue;
      samples += push->second.lease.count;
      step.updates.push_back(key);
    }
    if (known && samples != record.samples && !fresh_) {
      Violate(now, fmt::format("step {}: {} samples are acknowledged as applied; want {}",
                               record.step, samples, record.samples));
    }
    versions[record.version] = std::move(step);
    Sweep(record.step);
  }

  static bool Names(const cluster::Committed& record, const cluster::Push& push) {
    for (size_t i = 0; i < record.leases.size() && i < record.devices.size(); ++i) {
      if (record.leases[i].id == push.lease.id && record.devices[i] == push.device) return true;
    }
    return false;
  }

  void Copied(const cluster::Replicate& copy) {
    auto& versions = told_[copy.range];
    if (versions.contains(copy.record.version)) return;  // sent again
    Step step = StepOf(copy.record);
    for (const cluster::Applied& update : copy.applied) {
      step.updates.push_back({update.device, update.sequence});
    }
    versions[copy.record.version] = std::move(step);
    while (versions.size() > kVersionsKept) versions.erase(versions.begin());
    Sweep(copy.record.step);
  }

  // Updates of steps that are long over.
  void Sweep(int64_t step) {
    if (step <= swept_) return;
    swept_ = step;
    const bool late = streams_ || spec_.aggregation.quorum < 1;
    const int64_t oldest = step - (late ? kStepsKeptLate : kStepsKept);
    std::erase_if(pushes_, [&](const auto& entry) { return entry.second.lease.step < oldest; });
  }

  // Not one whose standby has taken over.
  bool LeadsNow(Address device, const Range& range) const {
    const auto leader = leaders_.find(range);
    return leader == leaders_.end() || leader->second == device;
  }

  // ---- what a leader or standby holds

  void Look(TimePoint now, const cluster::Leader& leader) {
    const Address self = leader.address();
    size_t held = 0;
    leader.ForEachShard([&](const Shard& shard) {
      ++held;
      const auto [it, is_new] = books_.try_emplace({self, shard.range()});
      Book& book = it->second;
      if (is_new) Open(now, self, shard, &book);
      if (shard.leads() && !std::exchange(book.leads, shard.leads())) {
        TakeOver(self, shard);
        NoteMemory(shard.range(), book);
      }
      book.leads = shard.leads();
      if (is_new) return Keep(shard.range(), book);
      if (book.leads && !LeadsNow(self, shard.range())) return;
      if (shard.version() == book.version && shard.next_step() == book.next_step) return;
      if (shard.version() != book.version) Follow(now, self, shard, &book);
      book.next_step = shard.next_step();
      Keep(shard.range(), book);
    });
    if (books_of_[self] != held) Drop(leader, held);
  }

  // What the leader before had applied, and its standby had not got, never counted.
  void TakeOver(Address self, const Shard& shard) {
    leaders_[shard.range()] = self;
    const auto forget = [&](auto* versions) {
      versions->erase(versions->upper_bound(shard.version()), versions->end());
    };
    forget(&told_[shard.range()]);
    forget(&seen_[shard.range()]);
    forget(&bits_[shard.range()]);
    forget(&memories_[shard.range()]);
  }

  // Ranges that it holds no longer.
  void Drop(const cluster::Leader& leader, size_t held) {
    const Address self = leader.address();
    std::erase_if(books_, [&](const auto& entry) {
      if (entry.first.first != self) return false;
      bool there = false;
      leader.ForEachShard(
          [&](const Shard& shard) { there |= shard.range() == entry.first.second; });
      return !there;
    });
    books_of_[self] = held;
  }

  static void Adopt(const Shard& shard, Book* book) {
    book->parameters.assign(shard.parameters().begin(), shard.parameters().end());
    book->version = shard.version();
  }

  // A range that was moved here has the numbers that it had where it was.
  void Open(TimePoint now, Address self, const Shard& shard, Book* book) {
    const Range range = shard.range();
    book->optimizer.emplace(FreshOptimizer(range));
    book->progress = cluster::Progress(shard.version());
    book->next_step = shard.next_step();
    Adopt(shard, book);
    const auto moved = Assemble(self, range);
    if (!moved) return;
    if (moved->version != book->version) return OpenBehind(now, self, range, book);
    book->sound = moved->version == 0 || book->optimizer->Restore(moved->optimizer).ok();
    if (moved->parameters != book->parameters) {
      Violate(now, fmt::format("{} moves to {} with other numbers in version {}; want the same "
                               "bits",
                               cluster::Describe(range), cluster::Describe(self), book->version));
    }
  }

  // A standby that is seated in mid-step: its leader has gone on since it sent the numbers.
  void OpenBehind(TimePoint now, Address self, const Range& range, Book* book) {
    const auto& memories = memories_[range];
    const auto memory = memories.find(book->version);
    if (memory == memories.end()) return;
    book->sound = book->version == 0 || book->optimizer->Restore(memory->second).ok();
    CompareBits(now, self, range, *book);
  }

  // From the books of those that led it. One that has died has its books for ever.
  std::optional<cluster::Snapshot> Assemble(Address self, const Range& range) const {
    cluster::RangeAssembly whole(spec_, range);
    for (const auto& [place, book] : books_) {
      const Range part = cluster::Overlap(place.second, range);
      const bool itself = place == Place{self, range};
      if (itself || part.count == 0 || !book.leads || !book.sound) continue;
      if (!layout_.contains(place) || !LeadsNow(place.first, place.second)) continue;
      const auto at = static_cast<size_t>(part.begin - place.second.begin);
      cluster::RangeAssembly::Piece piece{.range = part,
                                          .step = 0,
                                          .version = book.version,
                                          .optimizer_steps = book.optimizer->state().steps,
                                          .values = {}};
      piece.values.parameters =
          std::span(book.parameters).subspan(at, static_cast<size_t>(part.count));
      const size_t trained = cluster::ShapeOf(spec_, part).trainable;
      for (const auto& moment : book.optimizer->state().moments) {
        const std::span<const float> values(moment.values);
        piece.values.moments.push_back(trained == 0 ? values.first(0)
                                                    : values.subspan(at, trained));
      }
      whole.Add(piece);
    }
    if (!whole.whole()) return std::nullopt;
    return whole.Take();
  }

  void Follow(TimePoint now, Address self, const Shard& shard, Book* book) {
    const Range range = shard.range();
    std::vector<float> wanted = book->parameters;
    const Step* last = nullptr;
    auto& versions = told_[range];
    bool judged = book->sound;
    for (int64_t v = book->version + 1; judged && v <= shard.version(); ++v) {
      Step* step = StepTo(range, v);
      judged = step != nullptr && WorkOut(range, v, *book, step);
      if (!judged) break;
      last = step;
      if (!last->updates.empty()) {
        book->optimizer->Apply(last->rate, last->combined, wanted,
                               {last->fraction, last->in_stream || corrects_momentum_});
      }
      book->progress.Advance(last->fraction);
    }
    if (judged && last != nullptr) Compare(now, self, shard, *book, *last, wanted);
    book->sound = judged;
    if (!judged) states_.NoteGap();
    Adopt(shard, book);
    CompareBits(now, self, range, *book);
    NoteMemory(range, *book);
    // A standby may still have to come to it.
    if (std::ranges::none_of(books_, [&](const auto& entry) {
          return entry.first.second == range && entry.second.version < shard.version();
        })) {
      // One that is seated later may have to as well.
      auto& seen = seen_[range];
      while (!versions.empty() && versions.begin()->first <= shard.version()) {
        seen.insert(versions.extract(versions.begin()));
      }
      while (seen.size() > kVersionsKept) seen.erase(seen.begin());
    }
  }

  Step* StepTo(const Range& range, int64_t version) {
    for (auto* versions : {&told_[range], &seen_[range]}) {
      const auto step = versions->find(version);
      if (step != versions->end()) return &step->second;
    }
    return nullptr;
  }

  // What the updates of a version make, as the leader ought to join them.
  bool WorkOut(const Range& range, int64_t version, const Book& book, Step* step) {
    // Of a step of which all was left out.
    if (!step->combined.empty() || (step->samples == 0 && !step->in_stream)) return true;
    if (spec_.aggregation.delay_compensation > 0 || step->updates.empty()) return false;
    // How late an update is its leader knows; a standby may have been seated since.
    const bool weighs = step->in_stream && spec_.aggregation.staleness_exponent > 0;
    if (weighs && !book.leads) return false;
    const auto round = static_cast<double>(cluster::StepPlan(spec_).batch());
    const auto aggregator = aggregate::MakeAggregator(
        {.count = range.count,
         .statistics = range.count - static_cast<int64_t>(cluster::ShapeOf(spec_, range).trainable),
         .combine = spec_.aggregation.combine,
         .trim = spec_.aggregation.trim,
         .ordered = true});
    int64_t total = 0;
    for (const Key& key : step->updates) {
      const auto push = pushes_.find(key);
      if (push == pushes_.end()) return false;
      total += push->second.lease.count;
    }
    aggregator->Begin(static_cast<int64_t>(step->updates.size()), total);
    std::vector<float> decoded(static_cast<size_t>(range.count));
    double rates = 0;
    for (size_t i = 0; i < step->updates.size(); ++i) {
      const cluster::Push& update = pushes_.at(step->updates[i]);
      if (!codec_->Decode(spec_.PlaceOf(range.begin, update.version), *update.gradient, decoded)
               .ok())
        return false;
      const auto samples = static_cast<double>(update.lease.count);
      const double late =
          step->in_stream
              ? std::max(book.progress.RoundsSince(update.version, samples / round) - 1, 0.0)
              : static_cast<double>(version - 1 - update.version);
      const double weight = aggregate::StalenessWeight(late, spec_.aggregation.staleness_exponent);
      if (!aggregator->Add({static_cast<int64_t>(i), update.lease.count, decoded, weight}).ok()) {
        return false;
      }
      rates += samples * update.lr;
      for (const float value : decoded) {
        step->largest = std::max(step->largest, std::abs(static_cast<double>(value)));
      }
    }
    const auto combined = aggregator->Finish();
    step->combined.assign(combined.begin(), combined.end());
    const auto samples = static_cast<double>(step->samples);
    step->fraction = step->in_stream ? samples / round : 1;
    step->rate = step->in_stream ? rates / samples
                                 : engine::LearningRate(spec_.schedule, step->step, total_steps_);
    if (spec_.aggregation.TrainsLocally()) step->rate = spec_.aggregation.outer_lr;
    return true;
  }

  // Rounding: the leader adds up in f32 and in any order. AdamW divides by the gradient's own size,
  // so that where it is nearly nothing its rounding is a part of the rate.
  double Tolerance(double before, double wanted, const Step& step) const {
    const bool adamw = cluster::UpdateRule(spec_).kind == engine::OptimizerOptions::Kind::kAdamw;
    return 1e-5 * std::abs(before) + 1e-4 * std::abs(wanted - before) +
           (adamw ? 0.02 * step.rate : 1e-4 * step.rate * step.largest) + 1e-6 * step.largest;
  }

  void Compare(TimePoint now, Address self, const Shard& shard, const Book& book, const Step& step,
               std::span<const float> wanted) {
    const auto versions = static_cast<double>(shard.version() - book.version);
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (!std::isfinite(wanted[i])) return;
      const double got = shard.parameters()[i];
      const double off = std::abs(got - static_cast<double>(wanted[i]));
      if (off <= versions * Tolerance(book.parameters[i], wanted[i], step)) continue;
      return Violate(now, fmt::format("version {}: parameter {} is {:g} at {}; want {:g}, what the "
                                      "updates that were applied make of {:g}",
                                      shard.version(), static_cast<size_t>(shard.range().begin) + i,
                                      got, cluster::Describe(self), wanted[i], book.parameters[i]));
    }
  }

  // Leader and standby have the same numbers in the same version. Not with AdamW where updates are
  // fractions of a batch: it counts batches, and a standby is seated with a whole number of them.
  void CompareBits(TimePoint now, Address self, const Range& range, const Book& book) {
    const bool counts = spec_.optimizer.kind == engine::OptimizerOptions::Kind::kAdamw;
    if (spec_.leaders == 1 || (counts && (streams_ || spec_.aggregation.automatic))) return;
    auto& versions = bits_[range];
    const auto [it, is_new] = versions.try_emplace(book.version, book.parameters);
    if (is_new) {
      while (versions.size() > kVersionsKept) versions.erase(versions.begin());
    } else if (it->second != book.parameters) {
      Violate(now, fmt::format("{} has other numbers in version {} of {} than the other that holds "
                               "it; want the same bits",
                               cluster::Describe(self), book.version, cluster::Describe(range)));
    }
  }

  // ---- starts of the hub

  // Finds the state that the hub goes on from: of this line of history or of one that it had left.
  void Begin(TimePoint now, const cluster::Leader& leader) {
    leader.ForEachShard([&](const Shard& shard) {
      Book& book = books_[{leader.address(), shard.range()}];
      book.leads = true;
      leaders_[shard.range()] = leader.address();
      book.optimizer.emplace(FreshOptimizer(shard.range()));
      book.progress = cluster::Progress(shard.version());
      book.next_step = shard.next_step();
      Adopt(shard, &book);
      if (states_.empty() && first_step_ == 0) {
        book.sound = true;
      } else if (const auto found = states_.Find(book.parameters)) {
        book.sound = book.version == 0 || book.optimizer->Restore(*found).ok();
      } else if (states_.Has(first_step_)) {
        Violate(now, fmt::format("the hub goes on from version {} with parameters that it never "
                                 "had; want the same bits",
                                 book.version));
      }
      if (!book.sound) states_.NoteGap();
      Keep(shard.range(), book);
      books_of_[leader.address()] = 1;
    });
  }

  // For standbys that are seated later with the numbers of this version.
  void NoteMemory(const Range& range, const Book& book) {
    if (!book.leads || !book.sound) return;
    auto& memories = memories_[range];
    memories.insert_or_assign(book.version, book.optimizer->state());
    while (memories.size() > kVersionsKept) memories.erase(memories.begin());
  }

  void Keep(const Range& range, const Book& book) {
    if (!book.leads || !book.sound) return;
    states_.Keep({range, book.next_step, book.parameters, book.optimizer->state()});
  }

  const cluster::JobSpec spec_;
  const Range all_;
  const std::unique_ptr<codec::Codec> codec_;
  const bool corrects_momentum_;  // the devices do
  const int64_t total_steps_;
  OptimizerStates states_;
  uint64_t term_ = 0;
  int64_t first_step_ = 0;
  bool fresh_ = false;    // the hub's parameters have not been looked at
  bool streams_ = false;  // there are no steps
  int64_t swept_ = -1;
  std::map<Address, std::vector<Key>> acknowledged_;  // since the leader's last record
  std::map<Key, cluster::Push> pushes_;
  std::map<Range, std::map<int64_t, Step>> told_;  // by version
  std::map<Range, std::map<int64_t, Step>> seen_;  // those that all who hold the range are past
  std::map<Place, Book> books_;
  std::map<Range, Address> leaders_;  // who took it over last
  std::set<Place> layout_;            // that holds
  std::map<Address, size_t> books_of_;
  std::map<Range, std::map<int64_t, std::vector<float>>> bits_;          // by version
  std::map<Range, std::map<int64_t, engine::OptimizerState>> memories_;  // likewise
};

}  // namespace

std::unique_ptr<Checker> MakeAppliedSumChecker(const cluster::JobSpec& spec) {
  return std::make_unique<AppliedSum>(spec);
}

}  // namespace weft::sim
