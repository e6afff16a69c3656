#include "cluster/site_relay.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "cluster/describe.h"
#include "kernel/update.h"

namespace weft::cluster {

Result<std::unique_ptr<SiteRelay>> SiteRelay::Make(const JobSpec& spec, Address self) {
  ASSIGN_OR_RETURN(auto up, codec::MakeCodec(spec.codec_up));
  ASSIGN_OR_RETURN(auto dense, codec::MakeCodec("dense"));
  return std::unique_ptr<SiteRelay>(
      new SiteRelay(self, RunTag(spec.run), std::move(up), std::move(dense)));
}

SiteRelay::SiteRelay(Address self, uint64_t run, std::unique_ptr<codec::Codec> up,
                     std::unique_ptr<codec::Codec> dense)
    : self_(self), run_(run), up_(std::move(up)), dense_(std::move(dense)) {}

Actions SiteRelay::Handle(TimePoint now, Address from, const Message& message) {
  std::visit([&](const auto& m) { On(now, from, m); }, message);
  return Take();
}

template <class Other>
void SiteRelay::On(TimePoint, Address from, const Other& other) {
  actions_.push_back(Emit{Warning{fmt::format("{} sent the relay a {}, which it does not take",
                                              Describe(from), MessageName(other))}});
}

// ---- what the coordinator says

void SiteRelay::AdoptTerm(uint64_t term) {
  if (term <= term_) return;
  term_ = term;
  site_ = {};
  layout_ = {};
  sums_.clear();
  gone_.clear();
  fetches_.clear();
}

void SiteRelay::On(TimePoint, Address from, const UseRelay& use) {
  if (from.role != Role::kCoordinator) return;
  AdoptTerm(use.term);
  if (use.term == term_ && use.number > site_.number) site_ = use;
}

// What was said to the leader of a range that has gone, or moved, may be lost.
void SiteRelay::On(TimePoint, Address from, const Relayout& relayout) {
  if (from.role != Role::kCoordinator) return;
  AdoptTerm(relayout.term);
  if (relayout.term != term_ || relayout.layout.number <= layout_.number) return;
  const Layout before = std::exchange(layout_, relayout.layout);
  for (const Layout::Part& old : before.parts) {
    const Layout::Part* part = PartOf(old.range);
    if (part == nullptr || part->leader != old.leader) Forget(old.range);
  }
}

const Layout::Part* SiteRelay::PartOf(const Range& range) const {
  const auto it = std::ranges::find(layout_.parts, range, &Layout::Part::range);
  return it == layout_.parts.end() ? nullptr : &*it;
}

bool SiteRelay::Serves(Address worker, const Range& range) const {
  return worker.role == Role::kWorker && PartOf(range) != nullptr &&
         std::ranges::binary_search(site_.members, worker.device);
}

// ---- updates

void SiteRelay::On(TimePoint now, Address from, const Push& push) {
  if (push.term < term_ || from != Address{push.device, Role::kWorker}) return;
  if (push.term != term_ || push.gradient == nullptr || !Serves(from, push.range)) {
    return PushAgainTo(push);
  }
  Sum& sum = sums_[push.range];
  if (push.lease.step != sum.step) {
    if (push.lease.step < sum.step) return PushAgainTo(push);
    if (!sum.updates.empty()) Send(push.range, &sum);
    gone_[push.range].clear();
    sum.step = push.lease.step;
    sum.sent = false;
  }
  if (!Add(now, push, &sum)) return PushAgainTo(push);
  if (!IsComplete(sum)) return;
  if (!sum.sent) {
    const Duration took = sum.last - sum.first;
    patience_ = std::clamp(Duration(static_cast<int64_t>(kPatience * took.count())), kLeastPatience,
                           kMostPatience);
  }
  Send(push.range, &sum);
}

bool SiteRelay::Add(TimePoint now, const Push& push, Sum* sum) {
  const auto is_it = [&](const Push& other) {
    return other.device == push.device && other.sequence == push.sequence;
  };
  if (std::ranges::any_of(sum->updates, is_it)) return true;  // sent twice
  scratch_.resize(static_cast<size_t>(push.range.count));
  const bool fits = push.lease.count > 0 && sum->updates.size() < kMostUpdates &&
                    (sum->updates.empty() || sum->updates[0].version == push.version);
  const codec::Place place{.begin = push.range.begin, .run = run_, .base = push.version};
  if (!fits || !up_->Decode(place, *push.gradient, scratch_).ok()) return false;
  if (sum->updates.empty()) {
    sum->values.assign(scratch_.size(), 0.0f);
    sum->samples = 0;
    sum->first = now;
  }
  kernel::Axpy(static_cast<float>(push.lease.count), scratch_, sum->values);
  sum->samples += push.lease.count;
  sum->last = now;
  sum->updates.push_back(push);
  sum->updates.back().gradient = nullptr;
  return true;
}

bool SiteRelay::IsComplete(const Sum& sum) const {
  return sum.sent || std::ssize(sum.updates) >= sum.updates.back().joint;
}

void SiteRelay::Send(const Range& range, Sum* sum) {
  kernel::Scale(1.0f / static_cast<float>(sum->samples), sum->values);
  auto packet = std::make_shared<Bytes>();
  packet->reserve(dense_->MaxBytes(sum->values.size()));
  CHECK(dense_->Encode(sum->values, {}, packet.get()).ok());
  std::vector<Push>& gone = gone_[range];
  gone.insert(gone.end(), sum->updates.begin(), sum->updates.end());
  SendTo(PartOf(range)->leader, JointPush{.term = term_,
                                          .range = range,
                                          .updates = std::exchange(sum->updates, {}),
                                          .gradient = std::move(packet)});
  sum->sent = true;
}

void SiteRelay::PushAgainTo(const Push& push) {
  SendTo({push.device, Role::kWorker}, PushAgain{push.term, push.sequence});
}

// Whoever has an answer already does not mind being asked again.
void SiteRelay::Forget(const Range& range) {
  for (const Push& push : gone_[range]) PushAgainTo(push);
  gone_.erase(range);
  if (const auto it = sums_.find(range); it != sums_.end()) {
    for (const Push& push : it->second.updates) PushAgainTo(push);
    sums_.erase(it);
  }
  const auto fetch = fetches_.find(range);
  if (fetch == fetches_.end()) return;
  if (PartOf(range) == nullptr) {
    fetches_.erase(fetch);  // the workers ask again, by the new layout
  } else {
    fetch->second.asked.reset();
    Ask(range, &fetch->second);
  }
}

Actions SiteRelay::OnLost(TimePoint, DeviceId device) {
  for (const Layout::Part& part : layout_.parts) {
    const bool through_hub = device == kCoordinatorDevice;
    if (through_hub || part.leader.device == device) Forget(part.range);
  }
  return Take();
}

std::optional<TimePoint> SiteRelay::NextWake() const {
  std::optional<TimePoint> wake;
  for (const auto& [range, sum] : sums_) {
    if (sum.updates.empty()) continue;
    const TimePoint late = sum.first + patience_;
    if (!wake || late < *wake) wake = late;
  }
  return wake;
}

Actions SiteRelay::Tick(TimePoint now) {
  for (auto& [range, sum] : sums_) {
    if (!sum.updates.empty() && now >= sum.first + patience_) Send(range, &sum);
  }
  return Take();
}

// ---- parameters

namespace {

// Deltas are for those that hold what they start from.
bool Answers(const Parameters& parameters, const Pull& pull) {
  const bool fits =
      parameters.base < 0 || (parameters.base == pull.base && parameters.log == pull.log);
  return fits && parameters.version >= pull.version;
}

}  // namespace

void SiteRelay::On(TimePoint, Address from, const Pull& pull) {
  if (pull.term != term_ || !Serves(from, pull.range)) return;
  Fetch& fetch = fetches_[pull.range];
  if (fetch.newest && Answers(*fetch.newest, pull)) return SendTo(from, *fetch.newest);
  fetch.waiting[from] = pull;
  Ask(pull.range, &fetch);
}

// For all that wait: the least version, as a later one may be long in coming, and the difference
// only if all hold the same.
Pull SiteRelay::PullFor(const Fetch& fetch) const {
  Pull pull = fetch.waiting.begin()->second;
  pull.device = self_.device;
  for (const auto& [who, each] : fetch.waiting) {
    pull.version = std::min(pull.version, each.version);
    if (each.log == pull.log && each.base == pull.base) continue;
    pull.log = 0;
    pull.base = -1;
  }
  return pull;
}

void SiteRelay::Ask(const Range& range, Fetch* fetch) {
  if (fetch->waiting.empty()) return;
  const Pull pull = PullFor(*fetch);
  const bool comes = fetch->asked && fetch->asked->version == pull.version &&
                     (fetch->asked->base < 0 || *fetch->asked == pull);
  if (comes) return;
  fetch->asked = pull;
  SendTo(PartOf(range)->leader, pull);
}

void SiteRelay::On(TimePoint, Address from, const Parameters& parameters) {
  const auto it = fetches_.find(parameters.range);
  const Layout::Part* part = PartOf(parameters.range);
  if (parameters.term != term_ || part == nullptr || from != part->leader) return;
  if (it == fetches_.end() || (parameters.values == nullptr && parameters.base < 0)) return;
  Fetch& fetch = it->second;
  if (!fetch.newest || parameters.version >= fetch.newest->version) fetch.newest = parameters;
  if (fetch.asked && Answers(*fetch.newest, *fetch.asked)) fetch.asked.reset();
  for (auto each = fetch.waiting.begin(); each != fetch.waiting.end();) {
    const bool due = Answers(*fetch.newest, each->second);
    if (due) SendTo(each->first, *fetch.newest);
    each = due ? fetch.waiting.erase(each) : std::next(each);
  }
  Ask(parameters.range, &fetch);
}

}  // namespace weft::cluster
