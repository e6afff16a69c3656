#pragma once
// SimDevice: the simulated process of a worker, in a box with a speed, a memory and a link. Where
// it may lead or relay, a leader and a relay stand beside the worker, and other devices dial it.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/leader.h"
#include "cluster/peer_lines.h"
#include "cluster/site_relay.h"
#include "cluster/update_encoder.h"
#include "cluster/worker.h"
#include "data/sample_order.h"
#include "engine/local_momentum.h"
#include "sim/leader_costs.h"
#include "sim/options.h"
#include "sim/serial_process.h"
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

class SimDevice : public SerialProcess {
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
    const std::vector<StretchTime>* stretch_times = nullptr;  // null: not known
    std::function<void()> on_stopped;                         // it has ended by itself
    // The host of the device of this name, as which a device is reached by others.
    std::function<std::optional<HostId>(const std::string& name)> find_host;
    // Its leader, once it is admitted; null: one that holds nothing yet.
    std::function<std::unique_ptr<cluster::Leader>(cluster::Address self)> make_leader;
  };
  // `spec` must outlive it.
  SimDevice(const Options& options, const cluster::JobSpec& spec);
  ~SimDevice() override;

  void Start();
  void Leave(const std::string& reason);

  const cluster::Worker& worker() const { return worker_; }
  // Null if it may not lead, or has not been admitted yet.
  const cluster::Leader* leader() const { return leader_.get(); }
  const cluster::PeerLines& peers() const { return peers_; }
  // How it ended, if it has.
  const std::optional<Status>& stopped() const { return stopped_; }
  std::optional<cluster::ConnectionId> connection() const { return connection_; }
  // That it has dialled to other devices.
  std::vector<cluster::ConnectionId> lines() const;

  void OnConnected(cluster::ConnectionId connection) override;
  void OnMessage(cluster::ConnectionId connection, const cluster::Envelope& envelope) override;
  void OnDisconnected(cluster::ConnectionId connection, const std::string& reason) override;
  void OnTransfer(bool up, int64_t bytes, double seconds) override;

 private:
  // Does what a machine asks for; `from` is the one that asks.
  void Perform(cluster::Address from, const cluster::Actions& actions);
  void Perform(const cluster::Actions& actions) { Perform(worker_.address(), actions); }
  void Rest();
  void Wake();
  // Messages for the machines here.
  void Accept(const cluster::Envelope& envelope);
  void Lead(const cluster::Envelope& envelope);
  void DeliverLocal();
  double Slowness() const { return 1 / options_.tempo->SpeedAt(loop_->now()); }
  // Why it cannot compute a lease; ok if it can.
  Status Obstacle(const cluster::Lease& lease) const;
  // What a lease has come to, and what of that is still to be handed over.
  struct Output {
    Status status;
    cluster::Worker::Update update;
  };
  // What comes about after so many seconds of computing.
  struct Milestone {
    enum class Kind { kRead, kReady, kDone };  // a piece, a range of the gradient, the lease
    double seconds = 0;
    Kind kind = Kind::kDone;
    size_t index = 0;  // of the piece or range
  };
  // The lease that is being computed.
  struct Running {
    cluster::Compute compute;           // with the pieces that have come since
    std::deque<Milestone> milestones;   // to come
    double passed = 0;                  // seconds of computing at
    TimePoint at;                       // this time
    Duration took{};                    // until then, without waiting and the plan
    double plan_seconds = 0;            // that its plan took before
    bool waits = false;                 // for the piece of the next milestone
    bool given_up = false;              // pieces that are not here will not come
    std::optional<Output> output = {};  // once it is known
  };
  void PassOn(const cluster::Envelope& envelope);
  void TellRelayLost(cluster::DeviceId device);
  void NoteHost(int64_t samples);
  void Tell(Activity activity);
  double ReadAt(const cluster::Range& range) const;
  double FinalAt(const cluster::Range& range) const;
  std::deque<Milestone> MilestonesOf(const cluster::Compute& compute) const;
  std::vector<Milestone> Reads(const cluster::Compute& compute) const;
  std::vector<Milestone> EarlyParts(const cluster::Compute& compute) const;
  void Proceed();
  void Reach();
  void Cancel();
  void Produce();
  void HandOver(const cluster::Range& range);
  void Finish();
  double PlanSeconds(int64_t samples);
  void End();

  // Lines to other devices.
  void Perform(const cluster::PeerLines::Actions& actions);
  cluster::PeerLine LineOf(cluster::ConnectionId connection) const;
  std::optional<cluster::ConnectionId> ConnectionOf(cluster::PeerLine line) const;
  void Do(const cluster::PeerLines::Dial& dial);
  void Do(const cluster::PeerLines::Write& write);
  void Do(const cluster::PeerLines::Close& close);
  void Do(const cluster::PeerLines::Relay& relay);
  void Do(const cluster::PeerLines::Deliver& deliver);
  void Do(const cluster::PeerLines::Lost& lost);
  void Transmit(cluster::ConnectionId connection, const cluster::Envelope& envelope);

  void Do(cluster::Address from, const cluster::Send& send);
  template <class Other>
  void Do(cluster::Address, const Other& other) {
    Do(other);
  }
  void Do(const cluster::Connect& connect);
  void Do(const cluster::Disconnect& disconnect);
  void Do(const cluster::OpenRun& open);
  void Do(const cluster::ReadAhead&) {}
  void Do(const cluster::KeepSamples&) {}  // the workload computes by itself
  void Do(const cluster::DropSamples&) {}
  void Do(const cluster::Compute& compute);
  void Do(const cluster::HandPiece& hand);
  void Do(const cluster::GiveUp&);
  void Do(const cluster::Settled& settled);
  void Do(const cluster::UseLayout&) {}
  void Do(const cluster::Emit& emit);
  void Do(const cluster::Stop& stop);
  template <class Other>
  void Do(const Other&);

  const Options options_;
  const cluster::JobSpec& spec_;
  const int64_t parameter_count_;
  const bool can_be_dialled_;
  const LeaderCosts costs_;
  std::unique_ptr<codec::Codec> down_;
  engine::LocalMomentum momentum_;
  const bool corrects_momentum_;
  cluster::UpdateEncoder encoder_;
  cluster::Worker worker_;
  std::unique_ptr<cluster::Leader> leader_;
  std::unique_ptr<cluster::SiteRelay> relay_;
  cluster::PeerLines peers_;
  std::map<uint64_t, cluster::ConnectionId> dialed_;          // lines that it dialled, by number
  std::map<cluster::ConnectionId, uint64_t> dialed_numbers_;  // and back
  std::deque<cluster::Envelope> local_;                       // for worker and leader
  bool delivering_ = false;
  std::optional<cluster::ConnectionId> connection_;
  std::optional<Status> stopped_;
  std::optional<Running> running_;
  TimePoint ready_;              // data and model are open
  bool warm_ = false;            // a lease was begun
  std::deque<int64_t> planned_;  // sizes of leases, the one used last at the end
  bool ended_ = false;
};

}  // namespace weft::sim
