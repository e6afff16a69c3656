#pragma once
// For the tests of leaders: several of them, whose messages to each other lie on a wire until they
// are delivered, in order from each sender to each receiver.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cluster/leader.h"

namespace weft::cluster::testing {

inline constexpr Address kCoordinator = {kCoordinatorDevice, Role::kCoordinator};
inline Address WorkerAt(DeviceId device) { return {device, Role::kWorker}; }
inline Address LeaderAt(DeviceId device) { return {device, Role::kLeader}; }

inline Payload Packet(const std::vector<float>& values) {
  auto packet = std::make_shared<Bytes>();
  EXPECT_TRUE(codec::MakeCodec("dense").value()->Encode(values, {}, packet.get()).ok());
  return packet;
}

// One part a line: range, leader, standby.
struct PartOf {
  Range range;
  DeviceId leader = 0;
  DeviceId standby = 0;
};
inline Layout LayoutOf(uint64_t number, const std::vector<PartOf>& parts) {
  Layout layout{.number = number, .parts = {}};
  for (const PartOf& part : parts) {
    layout.parts.push_back({.range = part.range,
                            .leader = LeaderAt(part.leader),
                            .endpoint = {},
                            .standby = part.standby,
                            .standby_endpoint = {}});
  }
  return layout;
}

class Leaders {
 public:
  // Device 0 leads all, from `start`.
  Leaders(const JobSpec& spec, Snapshot start) : spec_(spec) {
    machines_[0] = Leader::Make(spec, std::move(start)).value();
    layout_ = LayoutOf(1, {{{0, spec.parameter_count()}, 0, 0}});
  }

  void Add(DeviceId device) {
    machines_[device] = Leader::MakeEmpty(spec_, LeaderAt(device)).value();
  }
  // With what it has sent and what is on the way to it.
  void Kill(DeviceId device) {
    machines_.erase(device);
    std::erase_if(wire_, [&](const Envelope& envelope) {
      return envelope.from.device == device || envelope.to.device == device;
    });
  }
  Leader& At(DeviceId device) { return *machines_.at(device); }

  void Tell(DeviceId device, Address from, const Message& message) {
    const auto it = machines_.find(device);
    if (it != machines_.end()) Take(device, it->second->Handle({}, from, message));
  }
  void Order(DeviceId device, const Message& message) { Tell(device, kCoordinator, message); }
  void OrderAll(const Message& message) {
    for (const auto& [device, machine] : machines_) Order(device, message);
  }
  // The coordinator's way to a new layout, all of which arrives.
  void Move(const Layout& to, uint64_t term = 1) {
    OrderAll(Reshape{term, layout_, to});
    Deliver();
    Hold(to, term);
  }
  // It holds from now on.
  void Hold(const Layout& to, uint64_t term = 1) {
    layout_ = to;
    OrderAll(Relayout{term, to});
  }
  const Layout& layout() const { return layout_; }

  // What leaders have sent each other, until nothing is left.
  void Deliver() {
    while (!wire_.empty()) DeliverAt(0);
  }
  // The message there, or the first one from its sender to its receiver.
  void DeliverAt(size_t at) {
    for (size_t i = 0; i < at; ++i) {
      if (wire_[i].from == wire_[at].from && wire_[i].to == wire_[at].to) at = i;
    }
    const Envelope next = wire_[at];
    wire_.erase(wire_.begin() + static_cast<std::ptrdiff_t>(at));
    Tell(next.to.device, next.from, next.message);
  }
  std::deque<Envelope>& wire() { return wire_; }

  // What coordinator and workers have heard since this was last asked, of one kind.
  template <class Kind>
  std::vector<Envelope> HeardFor() {
    const auto of_kind = [](const Envelope& e) { return std::holds_alternative<Kind>(e.message); };
    const auto rest = std::stable_partition(heard_.begin(), heard_.end(), of_kind);
    const std::vector<Envelope> found(heard_.begin(), rest);
    heard_.erase(heard_.begin(), rest);
    return found;
  }
  template <class Kind>
  std::vector<Kind> Heard() {
    std::vector<Kind> found;
    for (const Envelope& envelope : HeardFor<Kind>())
      found.push_back(std::get<Kind>(envelope.message));
    return found;
  }
  void Forget() { heard_.clear(); }

  std::vector<std::shared_ptr<const Snapshot>> saves;  // asked for by device 0
  std::vector<std::string> warnings;

 private:
  void Take(DeviceId device, const Actions& actions) {
    for (const Action& action : actions) {
      if (const auto* send = std::get_if<Send>(&action)) {
        Envelope envelope{LeaderAt(device), send->to, send->message};
        if (send->to.role == Role::kLeader) {
          wire_.push_back(std::move(envelope));
        } else {
          heard_.push_back(std::move(envelope));
        }
      } else if (const auto* save = std::get_if<SaveCheckpoint>(&action)) {
        EXPECT_EQ(device, 0u);
        saves.push_back(save->snapshot);
      } else if (const auto* emit = std::get_if<Emit>(&action)) {
        warnings.push_back(Describe(emit->event));
      }
    }
  }

  const JobSpec spec_;
  std::map<DeviceId, std::unique_ptr<Leader>> machines_;
  Layout layout_;
  std::deque<Envelope> wire_;
  std::vector<Envelope> heard_;
};

}  // namespace weft::cluster::testing
