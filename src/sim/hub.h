#pragma once
// Hub: the simulated process of a coordinator and its leader. One processor handles what comes in,
// one thing after another, each for as long as HubOptions say, and passes on what devices say to
// each other.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>

#include "cluster/coordinator.h"
#include "cluster/leader.h"
#include "cluster/sample_store.h"
#include "sim/disk.h"
#include "sim/leader_costs.h"
#include "sim/options.h"
#include "sim/serial_process.h"

namespace weft::sim {

class Hub : public SerialProcess {
 public:
  struct Options {
    ProcessOptions process;
    const HubOptions* costs = nullptr;  // must outlive the hub, as the disk
    Duration disk_write_time{};
    Disk* disk = nullptr;
    cluster::Snapshot start;  // of a run whose disk holds no checkpoint
    std::function<void(const cluster::Event&)> on_event = {};
  };
  Hub(const Options& options, const cluster::JobSpec& spec);
  ~Hub() override;

  // False if it cannot start, such as for a failing disk: try again later, with another one.
  bool Start();
  cluster::Coordinator& coordinator() { return coordinator_; }
  const cluster::Coordinator& coordinator() const { return coordinator_; }
  const cluster::Leader& leader() const { return *leader_; }

  // Does what the machines ask for; `from` is the one that asks.
  void Perform(cluster::Address from, const cluster::Actions& actions);

  void OnConnected(cluster::ConnectionId) override {}
  void OnMessage(cluster::ConnectionId connection, const cluster::Envelope& envelope) override;
  void OnDisconnected(cluster::ConnectionId connection, const std::string& reason) override;

 private:
  void Receive(cluster::ConnectionId connection, const cluster::Envelope& envelope);
  void Lost(cluster::ConnectionId connection, const std::string& reason);
  void Forward(const cluster::Envelope& envelope);
  void Deliver(const cluster::Envelope& envelope);
  void DeliverLocal();
  void Rest();
  void Transmit(cluster::ConnectionId connection, const cluster::Envelope& envelope);
  void StartWrite();

  void Do(cluster::Address from, const cluster::Send& send);
  void Do(cluster::Address from, const cluster::Reply& reply);
  void Do(cluster::Address from, const cluster::Admit& admit);
  void Do(cluster::Address from, const cluster::CloseConnection& close);
  void Do(cluster::Address from, const cluster::SaveCheckpoint& save);
  void Do(cluster::Address from, const cluster::ReadSamples& read);
  void Do(cluster::Address from, const cluster::Emit& emit);
  void Do(cluster::Address, const cluster::Stop&) {}
  template <class Other>
  void Do(cluster::Address from, const Other&);

  const LeaderCosts costs_;
  const double message_seconds_;
  const Duration local_delay_;
  const Duration disk_write_time_;
  Disk* const disk_;
  const std::function<void(const cluster::Event&)> on_event_;
  const int64_t first_step_;
  cluster::Coordinator coordinator_;
  std::unique_ptr<cluster::Leader> leader_;
  cluster::SampleStore::Options store_options_;
  std::optional<cluster::SampleStore> store_;  // once the coordinator has begun, if it feeds
  std::unordered_map<cluster::ConnectionId, cluster::DeviceId> devices_;
  std::unordered_map<cluster::DeviceId, cluster::ConnectionId> lines_;

  std::deque<cluster::Envelope> local_;
  bool delivering_ = false;
  std::map<cluster::Address, TimePoint> local_lanes_;  // the last arrival, by sender
  std::shared_ptr<const cluster::Snapshot> writing_;   // on its way to the disk
};

}  // namespace weft::sim
