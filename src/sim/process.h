#pragma once
// Process: what a simulated process shares with all others: it may be killed at any moment, and its
// timers then never ring.

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "sim/loop.h"
#include "sim/network.h"
#include "sim/observer.h"

namespace weft::sim {

struct ProcessOptions {
  Loop* loop = nullptr;
  Network* network = nullptr;
  const Audience* audience = nullptr;
  // How probable it is, whenever it has something to do, that it dies in the middle of that.
  double crash = 0;
  // It has died so. The process itself may be destroyed in the call.
  std::function<void()> on_crash;
};

class Process : public Endpoint {
 public:
  explicit Process(const ProcessOptions& options)
      : loop_(options.loop),
        network_(options.network),
        audience_(*options.audience),
        crash_(options.crash),
        on_crash_(options.on_crash) {}
  ~Process() override { network_->Vanish(this); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

 protected:
  // Runs `run` after `wait`, unless the process is dead by then.
  void After(Duration wait, std::function<void()> run) {
    loop_->After(wait, [life = std::weak_ptr(crashed_), run = std::move(run)] {
      if (const auto held = life.lock(); held && !*held) run();
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

  // How many of the `count` things it is about to do it lives to do. If not all, it is dead after
  // them.
  size_t Survives(size_t count) {
    if (crash_ <= 0 || loop_->rng().NextUniform() >= crash_) return count;
    Die();
    return loop_->rng().NextBelow(count + 1);
  }
  // It crashes once it has done what it is at.
  void Die() {
    *crashed_ = true;
    loop_->After(Duration(0), [life = std::weak_ptr(crashed_), die = on_crash_] {
      if (!life.expired()) die();
    });
  }
  bool crashed() const { return *crashed_; }

  Loop* const loop_;
  Network* const network_;
  const Audience& audience_;

 private:
  const double crash_;
  const std::function<void()> on_crash_;
  std::shared_ptr<bool> crashed_ = std::make_shared<bool>(false);  // gone: destroyed
  std::optional<TimePoint> alarm_;
};

}  // namespace weft::sim
