#pragma once
// Process: what a simulated process shares with all others: it may be killed at any moment, and its
// timers then never ring.

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "sim/loop.h"
#include "sim/network.h"

namespace weft::sim {

class Process : public Endpoint {
 public:
  Process(Loop* loop, Network* network) : loop_(loop), network_(network) {}
  ~Process() override { network_->Vanish(this); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

 protected:
  // Runs `run` after `wait`, unless the process is dead by then.
  void After(Duration wait, std::function<void()> run) {
    loop_->After(wait, [alive = std::weak_ptr(alive_), run = std::move(run)] {
      if (!alive.expired()) run();
    });
  }
  // Sees to it that `ring` runs at `wake`, or earlier for an earlier wake.
  void WakeAt(std::optional<TimePoint> wake, const std::function<void()>& ring) {
    if (!wake || (alarm_ && *alarm_ <= *wake)) return;
    alarm_ = *wake;
    After(*wake - loop_->now(), [this, at = *wake, ring] {
      if (alarm_ == at) alarm_.reset();
      ring();
    });
  }

  Loop* const loop_;
  Network* const network_;

 private:
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::optional<TimePoint> alarm_;
};

}  // namespace weft::sim
