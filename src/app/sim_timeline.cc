#include "app/sim_timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <variant>

namespace weft::app {
namespace {

using sim::Activity;

size_t BinsFor(size_t rows) {
  const size_t room = Timeline::kMostCells / std::max<size_t>(1, rows);
  return std::bit_floor(std::clamp(room, Timeline::kLeastBins, Timeline::kMostBins));
}

Timeline::Bin Sum(const Timeline::Bin& a, const Timeline::Bin& b) {
  return {.compute = a.compute + b.compute,
          .off = a.off + b.off,
          .sending = a.sending + b.sending,
          .receiving = a.receiving + b.receiving,
          .joins = static_cast<uint8_t>(a.joins | b.joins),
          .ends = static_cast<uint8_t>(a.ends | b.ends)};
}

Timeline::RunBin Sum(const Timeline::RunBin& a, const Timeline::RunBin& b) {
  return {.samples = a.samples + b.samples,
          .steps = a.steps + b.steps,
          .epochs = a.epochs + b.epochs,
          .hub_off = a.hub_off + b.hub_off,
          .hub_ends = a.hub_ends + b.hub_ends};
}

// Two bins become one, in the first half; the second begins anew.
template <class Any>
void Halve(std::vector<Any>* bins) {
  const size_t half = bins->size() / 2;
  for (size_t i = 0; i < half; ++i) (*bins)[i] = Sum((*bins)[2 * i], (*bins)[2 * i + 1]);
  std::fill(bins->begin() + static_cast<std::ptrdiff_t>(half), bins->end(), Any{});
}

}  // namespace

Timeline::Timeline(const std::vector<std::string>& names)
    : bins_(BinsFor(names.size())),
      most_rows_(kMostCells / bins_),
      run_(bins_),
      devices_(static_cast<int64_t>(names.size())) {
  for (size_t i = 0; i < std::min(names.size(), most_rows_); ++i) {
    rows_.push_back({.name = names[i]});
  }
  nows_.resize(rows_.size());
}

// ---- bins

void Timeline::Coarsen() {
  width_ *= 2;
  for (Row& row : rows_) Halve(&row.bins);
  Halve(&run_);
}

size_t Timeline::BinAt(TimePoint now) {
  while (now.ns / width_.count() >= static_cast<int64_t>(bins_)) Coarsen();
  return static_cast<size_t>(now.ns / width_.count());
}

void Timeline::Add(size_t row, float Bin::*what, TimePoint from, TimePoint until) {
  if (until <= from) return;
  const size_t last = BinAt(until);
  std::vector<Bin>& bins = rows_[row].bins;
  if (bins.empty()) bins.resize(bins_);
  for (size_t i = BinAt(from); i <= last; ++i) {
    const TimePoint begin = TimePoint{} + static_cast<int64_t>(i) * width_;
    const Duration part = std::min(until, begin + width_) - std::max(from, begin);
    bins[i].*what += static_cast<float>(base::Seconds(part));
  }
}

size_t Timeline::bins_used() const {
  const auto used = static_cast<size_t>((end_.ns + width_.count() - 1) / width_.count());
  return std::clamp<size_t>(used, 1, bins_);
}

// ---- rows

bool Timeline::Has(int device) {
  devices_ = std::max<int64_t>(devices_, device + 1);
  if (done_ || static_cast<size_t>(device) >= most_rows_) return false;
  while (rows_.size() <= static_cast<size_t>(device)) {
    rows_.push_back({.name = fmt::format("device-{}", rows_.size())});
    nows_.emplace_back();
  }
  return true;
}

void Timeline::CloseActivity(size_t row, TimePoint now) {
  Now& open = nows_[row];
  const double seconds = base::Seconds(now - open.since);
  if (open.activity == Activity::kCompute) {
    Add(row, &Bin::compute, open.since, now);
    rows_[row].compute_s += seconds;
  } else if (open.activity == Activity::kOff) {
    Add(row, &Bin::off, open.since, now);
    rows_[row].off_s += seconds;
  }
  open.since = now;
}

void Timeline::Begin(Transfer* transfer, TimePoint now) {
  if (transfer->count++ == 0) transfer->since = now;
}

void Timeline::End(size_t row, Transfer* transfer, float Bin::*what, TimePoint now, bool all) {
  if (transfer->count == 0) return;
  transfer->count = all ? 0 : transfer->count - 1;
  if (transfer->count == 0) Add(row, what, transfer->since, now);
}

void Timeline::EndTransfers(size_t row, TimePoint now) {
  End(row, &nows_[row].sending, &Bin::sending, now, true);
  End(row, &nows_[row].receiving, &Bin::receiving, now, true);
}

void Timeline::Finish(TimePoint now) {
  if (!done_) end_ = now;
  done_ = true;
  for (size_t row = 0; row < rows_.size(); ++row) {
    CloseActivity(row, end_);
    EndTransfers(row, end_);
  }
  if (!hub_on_) AddHubOff(end_);
}

// ---- what happens to devices

void Timeline::OnDeviceUp(TimePoint now, int device, uint64_t) {
  if (!Has(device)) return;
  const auto row = static_cast<size_t>(device);
  CloseActivity(row, now);
  nows_[row].activity = Activity::kIdle;
  ++rows_[row].starts;
}

void Timeline::OnDeviceDown(TimePoint now, int device) {
  if (!Has(device)) return;
  const auto row = static_cast<size_t>(device);
  CloseActivity(row, now);
  EndTransfers(row, now);
  nows_[row].activity = Activity::kOff;
  ++rows_[row].ends;
  const size_t bin = BinAt(now);
  if (rows_[row].bins.empty()) rows_[row].bins.resize(bins_);
  rows_[row].bins[bin].ends = 1;
}

void Timeline::OnActivity(TimePoint now, int device, Activity activity) {
  if (!Has(device)) return;
  CloseActivity(static_cast<size_t>(device), now);
  nows_[static_cast<size_t>(device)].activity = activity;
}

void Timeline::OnJoined(TimePoint now, int device, cluster::DeviceId id) {
  if (!Has(device)) return;
  Now& open = nows_[static_cast<size_t>(device)];
  if (open.id != id) numbers_.erase(open.id);
  open.id = id;
  numbers_[id] = device;
  const size_t bin = BinAt(now);
  Row& row = rows_[static_cast<size_t>(device)];
  if (row.bins.empty()) row.bins.resize(bins_);
  row.bins[bin].joins = 1;
}

// What was under way on the connection before is lost.
void Timeline::OnDial(TimePoint now, int device) {
  if (!Has(device)) return;
  EndTransfers(static_cast<size_t>(device), now);
}

// ---- payloads

void Timeline::OnSent(TimePoint now, const cluster::Envelope& envelope) {
  if (done_) return;
  const bool push = std::holds_alternative<cluster::Push>(envelope.message);
  if (!push && !std::holds_alternative<cluster::Parameters>(envelope.message)) return;
  const auto number = numbers_.find(push ? envelope.from.device : envelope.to.device);
  if (number == numbers_.end()) return;
  Now& open = nows_[static_cast<size_t>(number->second)];
  if (open.activity == Activity::kOff) return;  // nobody told the coordinator
  Begin(push ? &open.sending : &open.receiving, now);
}

void Timeline::OnDelivered(TimePoint now, const cluster::Envelope& envelope) {
  if (done_) return;
  const bool push = std::holds_alternative<cluster::Push>(envelope.message);
  if (!push && !std::holds_alternative<cluster::Parameters>(envelope.message)) return;
  const auto number = numbers_.find(push ? envelope.from.device : envelope.to.device);
  if (number == numbers_.end()) return;
  const auto row = static_cast<size_t>(number->second);
  End(row, push ? &nows_[row].sending : &nows_[row].receiving,
      push ? &Bin::sending : &Bin::receiving, now, false);
}

// ---- the run

void Timeline::OnEvent(TimePoint now, const cluster::Event& event) {
  if (done_) return;
  const size_t bin = BinAt(now);
  if (const auto* step = std::get_if<cluster::StepDone>(&event)) {
    run_[bin].samples += static_cast<double>(step->samples);
    ++run_[bin].steps;
  } else if (std::holds_alternative<cluster::EpochDone>(event)) {
    ++run_[bin].epochs;
  } else if (std::holds_alternative<cluster::RunDone>(event)) {
    Finish(now);
  }
}

void Timeline::OnHubKilled(TimePoint now) {
  if (done_) return;
  hub_on_ = false;
  hub_since_ = now;
  ++run_[BinAt(now)].hub_ends;
}

void Timeline::OnHubStarted(TimePoint now, uint64_t, int64_t) {
  if (done_ || hub_on_) return;
  hub_on_ = true;
  AddHubOff(now);
}

void Timeline::AddHubOff(TimePoint until) {
  const size_t last = BinAt(until);
  for (size_t i = BinAt(hub_since_); i <= last; ++i) {
    const TimePoint begin = TimePoint{} + static_cast<int64_t>(i) * width_;
    const Duration part = std::min(until, begin + width_) - std::max(hub_since_, begin);
    run_[i].hub_off += static_cast<float>(base::Seconds(part));
  }
}

}  // namespace weft::app
