#pragma once
// Observer: is told of all that happens in a simulated cluster, as it happens: checkers, counters
// and the picture of a run are observers. They change nothing.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cluster/action.h"
#include "cluster/event.h"
#include "cluster/message.h"
#include "cluster/update_encoder.h"
#include "cluster/worker.h"

namespace weft::cluster {
class Coordinator;
class Leader;
}  // namespace weft::cluster

namespace weft::sim {

// What a device spends its time on.
enum class Activity { kOff, kIdle, kCompute };

// Devices are numbered by the simulation, from 0; a process that replaces another in the same box
// keeps its number. Threads: one.
class Observer {
 public:
  virtual ~Observer() = default;

  // The hub's process has started; it goes on from this step of its disk.
  virtual void OnHubStarted(TimePoint, uint64_t /*term*/, int64_t /*first_step*/) {}
  virtual void OnHubKilled(TimePoint) {}
  // What the hub's machines told.
  virtual void OnEvent(TimePoint, const cluster::Event&) {}
  // A machine asks for a message to be sent.
  virtual void OnSent(TimePoint, const cluster::Envelope&) {}
  // A machine is about to handle a message.
  virtual void OnDelivered(TimePoint, const cluster::Envelope&) {}
  // The hub has handled a message or an alarm; its machines, to look at their sizes.
  virtual void OnHubRest(TimePoint, const cluster::Coordinator&, const cluster::Leader&) {}
  // A leader on a device has handled a message.
  virtual void OnLeaderRest(TimePoint, int /*device*/, const cluster::Leader&) {}

  // A device's process starts, or has ended (killed, crashed, switched off, or stopped by itself).
  virtual void OnDeviceUp(TimePoint, int /*device*/, uint64_t /*incarnation*/) {}
  virtual void OnDeviceDown(TimePoint, int /*device*/) {}
  // Its direct way to another device is gone.
  virtual void OnPeerLost(TimePoint, cluster::DeviceId /*device*/, cluster::DeviceId /*other*/) {}
  // The coordinator has admitted it under this id.
  virtual void OnJoined(TimePoint, int /*device*/, cluster::DeviceId) {}
  // It dials the hub.
  virtual void OnDial(TimePoint, int /*device*/) {}
  virtual void OnActivity(TimePoint, int /*device*/, Activity) {}
  // Its worker has handled a message or an alarm.
  virtual void OnDeviceRest(TimePoint, int /*device*/, const cluster::Worker&) {}
  // It has computed a lease. gradient: [n] mean over the lease's samples; empty in cost mode.
  // parts: a packet a range, which tile the vector.
  virtual void OnComputed(TimePoint, int /*device*/, const cluster::Compute&,
                          std::span<const float> /*gradient*/,
                          const std::vector<cluster::Worker::Part>& /*parts*/,
                          const cluster::UpdateEncoder&) {}
  // The encoder was told the fate of an update of one range.
  virtual void OnSettled(TimePoint, int /*device*/, const cluster::Settled&,
                         const cluster::UpdateEncoder&) {}
};

// Those who look on, in order.
class Audience {
 public:
  void Add(Observer* observer) { observers_.push_back(observer); }

  template <class... Parameters, class... Arguments>
  void Tell(void (Observer::*what)(Parameters...), const Arguments&... arguments) const {
    for (Observer* observer : observers_) (observer->*what)(arguments...);
  }

 private:
  std::vector<Observer*> observers_;  // must outlive the audience
};

}  // namespace weft::sim
