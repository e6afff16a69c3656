#include <fmt/format.h>

#include "cluster/worker.h"
#include "sim/checker.h"

namespace weft::sim {
namespace {

class Progress : public Checker {
 public:
  Progress(const cluster::JobSpec& spec, Duration most)
      : want_(spec.start_workers), pauses_(spec.pause_for_eval), most_(most) {}
  std::string_view name() const override { return "progress"; }

  void OnHubStarted(TimePoint now, uint64_t, int64_t) override {
    hub_up_ = true;
    begun_ = paused_ = false;
    since_ = now;
  }
  void OnHubKilled(TimePoint) override { hub_up_ = false; }
  void OnHubRest(TimePoint now, const cluster::Coordinator&, const cluster::Leader&) override {
    Look(now);
  }

  void OnSent(TimePoint now, const cluster::Envelope& envelope) override {
    if (std::holds_alternative<cluster::BeginStep>(envelope.message) ||
        std::holds_alternative<cluster::BeginStream>(envelope.message)) {
      begun_ = true;
      if (paused_) since_ = now;
      paused_ = false;
    }
    if (std::holds_alternative<cluster::Committed>(envelope.message)) since_ = now;
  }

  void OnEvent(TimePoint, const cluster::Event& event) override {
    if (std::holds_alternative<cluster::EpochDone>(event)) paused_ = pauses_;
    if (std::holds_alternative<cluster::RunDone>(event)) done_ = true;
  }

  void OnDeviceRest(TimePoint now, int device, const cluster::Worker& worker) override {
    SetJoined(now, device, worker.joined());
    Look(now);
  }
  void OnDeviceDown(TimePoint now, int device) override { SetJoined(now, device, false); }

 private:
  int64_t Wanted() const { return begun_ ? 1 : want_; }

  void SetJoined(TimePoint now, int device, bool joined) {
    const auto at = static_cast<size_t>(device);
    if (at >= joined_.size()) joined_.resize(at + 1);
    if (joined_[at] == joined) return;
    joined_[at] = joined;
    const bool were_enough = count_ >= Wanted();
    count_ += joined ? 1 : -1;
    if (!were_enough) since_ = now;
  }

  void Look(TimePoint now) {
    if (!hub_up_ || done_ || paused_ || count_ < Wanted() || now - since_ <= most_) return;
    Violate(now, fmt::format("no step was committed for {:.1f} s while {} devices had joined; want "
                             "one at least every {:.1f} s",
                             base::Seconds(now - since_), count_, base::Seconds(most_)));
    since_ = now;
  }

  const int64_t want_;  // devices, before the first step
  const bool pauses_;
  const Duration most_;
  bool hub_up_ = false;
  bool begun_ = false;   // a step, in this life of the hub
  bool paused_ = false;  // for an evaluation
  bool done_ = false;
  TimePoint since_;           // the last commit, or when there came to be enough devices
  int64_t count_ = 0;         // of joined_
  std::vector<bool> joined_;  // by device
};

}  // namespace

std::unique_ptr<Checker> MakeProgressChecker(const cluster::JobSpec& spec, Duration most) {
  return std::make_unique<Progress>(spec, most);
}

}  // namespace weft::sim
