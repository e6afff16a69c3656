#pragma once
// Hub: the simulated process of a coordinator and its leader.

#include <functional>
#include <map>
#include <memory>

#include "cluster/coord_store.h"
#include "cluster/coordinator.h"
#include "cluster/leader.h"
#include "sim/process.h"

namespace weft::sim {

// What outlives the process: its disk.
struct Disk {
  std::unique_ptr<cluster::CoordStore> store = cluster::MakeMemoryStore();
  cluster::Snapshot checkpoint;
  double failure = 0;  // how probable it is that writing a checkpoint fails
  Duration write_time = std::chrono::milliseconds(20);
};

class Hub : public Process {
 public:
  struct Options {
    Loop* loop = nullptr;
    Network* network = nullptr;
    Disk* disk = nullptr;                                      // must outlive the hub
    std::function<void(const cluster::Event&)> on_event = {};  // told of every event
  };
  Hub(const Options& options, const cluster::JobSpec& spec);

  void Start();
  cluster::Coordinator& coordinator() { return coordinator_; }
  const cluster::Leader& leader() const { return *leader_; }

  // Does what the machines ask for; `from` is the one that asks.
  void Perform(cluster::Address from, const cluster::Actions& actions);

  void OnConnected(cluster::ConnectionId) override {}
  void OnMessage(cluster::ConnectionId connection, const cluster::Envelope& envelope) override;
  void OnDisconnected(cluster::ConnectionId connection, const std::string& reason) override;

 private:
  void Deliver(const cluster::Envelope& envelope);
  void Route(const cluster::Envelope& envelope);
  void Write(const std::shared_ptr<const cluster::Snapshot>& snapshot);

  void Do(cluster::Address from, const cluster::Send& send);
  void Do(cluster::Address from, const cluster::Reply& reply);
  void Do(cluster::Address from, const cluster::Admit& admit);
  void Do(cluster::Address from, const cluster::CloseConnection& close);
  void Do(cluster::Address from, const cluster::SaveCheckpoint& save);
  void Do(cluster::Address from, const cluster::Emit& emit);
  void Do(cluster::Address, const cluster::Stop&) {}
  template <class Other>
  void Do(cluster::Address from, const Other&);

  Disk* const disk_;
  const std::function<void(const cluster::Event&)> on_event_;
  cluster::Coordinator coordinator_;
  std::unique_ptr<cluster::Leader> leader_;
  std::map<cluster::ConnectionId, cluster::DeviceId> devices_;  // 0: not admitted yet
  std::map<cluster::DeviceId, cluster::ConnectionId> lines_;
  std::map<cluster::Address, TimePoint> local_;  // the last arrival, by sender
};

}  // namespace weft::sim
