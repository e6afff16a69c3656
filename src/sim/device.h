#pragma once
// SimDevice: the simulated process of a worker, in a box with a speed, a memory and a link.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cluster/update_encoder.h"
#include "cluster/worker.h"
#include "data/sample_order.h"
#include "sim/options.h"
#include "sim/process.h"
#include "sim/tempo.h"
#include "sim/workload.h"

namespace weft::sim {

// Test doubles of bad luck in one device.
struct DeviceTroubles {
  int64_t nan_at_step = -1;      // its loss is not finite there
  bool unreadable_data = false;  // it cannot compute anything
};

// Samples that the store feeds to a device.
struct FedSamples {
  int64_t sample_bytes = 0;  // of one in a packet; 0: the device holds the data set
  data::SampleOrder order;
};

class SimDevice : public Process {
 public:
  struct Options {
    ProcessOptions process;
    int number = 0;
    HostId host = 0;
    cluster::WorkerOptions worker;
    DeviceTroubles troubles;
    const DeviceOptions* box = nullptr;  // must outlive the process, as all pointers here
    Tempo* tempo = nullptr;
    Workload* workload = nullptr;
    FedSamples fed;
    std::function<void()> on_stopped;  // it has ended by itself
  };
  SimDevice(const Options& options, const cluster::JobSpec& spec);
  ~SimDevice() override;

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
  // Why it cannot compute a lease; ok if it can.
  Status Obstacle(const cluster::Lease& lease) const;
  void Finish(const cluster::Compute& compute);
  void End();

  void Do(const cluster::Send& send);
  void Do(const cluster::Connect& connect);
  void Do(const cluster::Disconnect& disconnect);
  void Do(const cluster::OpenRun& open);
  void Do(const cluster::ReadAhead&) {}
  void Do(const cluster::KeepSamples&) {}  // the workload computes by itself
  void Do(const cluster::DropSamples&) {}
  void Do(const cluster::Compute& compute);
  void Do(const cluster::Settled& settled);
  void Do(const cluster::UseLayout&) {}
  void Do(const cluster::Emit& emit);
  void Do(const cluster::Stop& stop);
  template <class Other>
  void Do(const Other&);

  const Options options_;
  const int64_t parameter_count_;
  std::unique_ptr<codec::Codec> down_;
  cluster::UpdateEncoder encoder_;
  cluster::Worker worker_;
  std::optional<cluster::ConnectionId> connection_;
  std::optional<Status> stopped_;
  TimePoint ready_;    // data and model are open
  bool warm_ = false;  // a lease was begun
  bool ended_ = false;
};

}  // namespace weft::sim
