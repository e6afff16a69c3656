#pragma once
// SimDevice: the simulated process of a worker; it computes the toy at a speed of its own.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cluster/update_encoder.h"
#include "cluster/worker.h"
#include "sim/process.h"
#include "sim/toy.h"

namespace weft::sim {

class SimDevice : public Process {
 public:
  struct Options {
    Loop* loop = nullptr;
    Network* network = nullptr;
    HostId host = 0;  // the box it runs in
    cluster::WorkerOptions worker{};
    Duration per_sample = std::chrono::microseconds(200);
    int64_t nan_at_step = -1;      // its loss is not finite there
    bool unreadable_data = false;  // it cannot compute anything
    std::function<void(const cluster::Event&)> on_event = {};
  };
  SimDevice(const Options& options, const cluster::JobSpec& spec);

  void Start();
  void Leave(const std::string& reason);

  const cluster::Worker& worker() const { return worker_; }
  // How it ended, if it has.
  const std::optional<Status>& stopped() const { return stopped_; }
  std::optional<cluster::ConnectionId> connection() const { return connection_; }

  void OnConnected(cluster::ConnectionId connection) override;
  void OnMessage(cluster::ConnectionId connection, const cluster::Envelope& envelope) override;
  void OnDisconnected(cluster::ConnectionId connection, const std::string& reason) override;

 private:
  void Perform(const cluster::Actions& actions);
  void Finish(const cluster::Compute& compute);

  void Do(const cluster::Send& send);
  void Do(const cluster::Connect& connect);
  void Do(const cluster::Disconnect& disconnect);
  void Do(const cluster::OpenRun&) {}
  void Do(const cluster::ReadAhead&) {}
  void Do(const cluster::Compute& compute);
  void Do(const cluster::Settled& settled);
  void Do(const cluster::Emit& emit);
  void Do(const cluster::Stop& stop) { stopped_ = stop.status; }
  template <class Other>
  void Do(const Other&);

  const Options options_;
  const cluster::JobSpec spec_;
  std::unique_ptr<codec::Codec> down_;
  cluster::UpdateEncoder encoder_;
  cluster::Worker worker_;
  std::optional<cluster::ConnectionId> connection_;
  std::optional<Status> stopped_;
};

}  // namespace weft::sim
