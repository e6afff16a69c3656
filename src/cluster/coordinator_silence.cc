// Coordinator: devices that are not heard of.
//
// A device whose heartbeats are missing is dead, cut off, or slow for the moment, and nobody can
// tell which. So there are three answers. After two heartbeats it gets nothing new (NoteQuiet).
// After a little more it is marked as silent, and others do what they can in its place; that costs
// a healthy device nothing but work done twice, as whoever is first counts and its connection
// stands. After the device timeout it is taken out of the run.

#include <fmt/format.h>

#include <algorithm>

#include "cluster/coordinator.h"
#include "cluster/wire_status.h"

namespace weft::cluster {

Duration Coordinator::Silence() const {
  const auto beats = std::chrono::duration_cast<Duration>(kSilentHeartbeats * Beat());
  return std::min(std::max(beats, kLeastSilence), Timeout());
}

// After a halt of its own, signs of life may wait behind this call: it looks again a heartbeat
// later. Without halts it is called every half heartbeat (SilenceWake).
void Coordinator::NoteCall(TimePoint now) {
  const Duration gap = now - now_;
  if (gap >= Silence() - Beat()) listen_until_ = now + Beat();
  if (gap >= Timeout() / 2) spare_until_ = now + Beat();
  now_ = now;
}

std::optional<TimePoint> Coordinator::SilenceWake() const {
  const auto oldest = devices_.OldestSign();
  if (!oldest) return std::nullopt;
  TimePoint wake = std::max(*oldest + Timeout(), spare_until_);
  if (const auto unmarked = devices_.OldestUnmarked()) {
    wake = std::min(wake, std::max(*unmarked + Silence(), listen_until_));
  }
  return std::min(wake, now_ + Beat() / 2);
}

void Coordinator::LookForSilent() {
  if (now_ >= spare_until_) TakeOutSilent();
  if (now_ >= listen_until_ && !done()) MarkSilent();
}

void Coordinator::MarkSilent() {
  const std::vector<DeviceId> marked = devices_.MarkSilent(now_ - Silence());
  if (marked.empty()) return;
  for (const DeviceId device : marked) {
    const Device& known = *devices_.Find(device);
    Emit(DeviceSilent{device, known.name, base::Seconds(now_ - known.last_seen)});
  }
  RelieveSilent();
}

void Coordinator::TakeOutSilent() {
  for (DeviceId device : devices_.SilentSince(now_ - Timeout())) {
    const std::string reason = fmt::format("silent for {:.1f} s", base::Seconds(Timeout()));
    ToWorker(device, Refuse{CodeNumber(Code::kDeadlineExceeded), reason, true});
    actions_.push_back(CloseConnection{devices_.Find(device)->connection});
    Lose(device, reason);
  }
}

// ---- heard of

Actions Coordinator::OnSign(TimePoint now, DeviceId device) {
  if (done() || devices_.Find(device) == nullptr) return {};
  NoteCall(now);
  NoteSign(device);
  return Take();
}

void Coordinator::NoteSign(DeviceId device) {
  if (!devices_.Saw(device, now_)) return;
  Emit(DeviceHeard{device, devices_.Find(device)->name});
  // It can do what those cannot that are still silent.
  RelieveSilent();
  SeatStandbys();
}

// If none is heard, the fault is probably here, and there is nobody to do better.
void Coordinator::RelieveSilent() {
  const std::set<DeviceId> silent = devices_.silent();
  if (silent.empty() || silent.size() == devices_.living().size()) return;
  bool expired = false;
  if (phase_ == Phase::kStreaming) expired = stream_.Copy(silent);
  if (phase_ == Phase::kStepping && IsLocal()) {
    expired = LeaveOutSilent(silent);
  } else if (phase_ == Phase::kStepping) {
    for (const DeviceId device : silent) {
      expired = dealer_.ExpireAll(device, now_, Duration(0)) || expired;
    }
  }
  AfterLoss(seats_.Relieve(silent), silent.size() == 1
                                        ? fmt::format("device {} is silent", *silent.begin())
                                        : fmt::format("{} devices are silent", silent.size()));
  PlanSites();
  if (!expired) return;
  disturbed_ = true;
  phase_ == Phase::kStreaming ? DealStream() : Deal();
}

}  // namespace weft::cluster
