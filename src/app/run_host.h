#pragma once
// RunHost: gives a run's coordinator and leader their clock, network, disk and face, from the first
// step to the result.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/confusion.h"
#include "app/evaluator.h"
#include "app/job.h"
#include "app/progress.h"
#include "app/run_folder.h"
#include "base/event_loop.h"
#include "base/worker_thread.h"
#include "cluster/checkpoint.h"
#include "cluster/coordinator.h"
#include "cluster/leader.h"
#include "cluster/sample_store.h"
#include "net/server.h"

namespace weft::app {

struct RunHostOptions {
  std::shared_ptr<const Job> job;
  std::string token;          // what workers must show
  int64_t start_workers = 1;  // the first step waits for so many
  std::string site;           // where this process stands; empty: not said
  int eval_threads = 1;
  bool feed_samples = false;     // the store feeds workers, which then need no data
  bool announce_waiting = true;  // say that workers are missing
  cluster::CoordStore* store = nullptr;
  ProgressView* view = nullptr;
  RunFolder* folder = nullptr;
  cluster::CheckpointFolder* checkpoints =
      nullptr;              // used by a thread of the host's while Run is under way
  cluster::Snapshot start;  // where to begin: step 0 or a checkpoint
};

// Threads: one, but for Connect.
class RunHost : private net::HubHandler {
 public:
  // Listens at "HOST:PORT", or for workers of this process only if `listen` is empty. Who connects
  // before Run waits. Errors: those of net::Hub::Start.
  static Result<std::unique_ptr<RunHost>> Listen(const std::string& listen);
  ~RunHost() override;

  int port() const { return hub_->port(); }
  // A connection for a worker of this process. Threads: any.
  Result<std::unique_ptr<net::Connection>> Connect(net::ConnectionHandler* handler);

  // Makes coordinator and leader. Once, before Run. Errors: those of cluster::Leader::Make and the
  // engine.
  Status Open(RunHostOptions options);

  // Ends the run: it cannot go on, for a reason outside the state machines. Threads: any.
  void Fail(const Status& status);

  // Blocks until the run is over, by itself, by a signal (drained) or by a failure.
  struct Outcome {
    cluster::RunDone done;
    RunResult result;               // but for what the caller knows: folder, model, digest
    std::vector<float> parameters;  // the flat vector at the end
    // Of the test data, by these parameters; nothing if there is none, the run failed, or there are
    // too many classes.
    std::optional<Confusion> confusion;
    // Samples a second while computing, as each device measured last.
    std::map<cluster::DeviceId, double> speeds;
  };
  Outcome Run();

 private:
  struct Local {  // a message between roles of this process
    cluster::Address from;
    cluster::Address to;
    cluster::Message message;
  };

  RunHost() = default;

  void OnMessage(uint64_t connection, cluster::Envelope envelope) override;
  void OnPart(uint64_t connection) override;
  void OnDisconnect(uint64_t connection, Status status) override;

  void Receive(uint64_t connection, const cluster::Envelope& envelope);
  void Sign(uint64_t connection);
  void Lost(uint64_t connection, const Status& status);
  void Route(cluster::Address from, cluster::Address to, cluster::Message message);
  void DeliverLocal();

  // `self` is the machine whose actions these are.
  void Do(cluster::Address self, cluster::Actions actions);
  void Do(cluster::Address self, const cluster::Send& send);
  void Do(cluster::Address self, const cluster::Reply& reply);
  void Do(cluster::Address self, const cluster::Admit& admit);
  void Do(cluster::Address self, const cluster::CloseConnection& close);
  void Do(cluster::Address self, const cluster::SaveCheckpoint& save);
  void Do(cluster::Address self, const cluster::ReadSamples& read);
  void Do(cluster::Address self, const cluster::Emit& emit);
  void Do(cluster::Address self, const cluster::Restart& restart);
  void Do(cluster::Address self, const cluster::Stop& stop);
  template <class Other>
  void Do(cluster::Address self, const Other& other);

  void Show(const cluster::Event& event);
  void Note(const cluster::Event& event);
  void AfterEpoch(const cluster::EpochDone& epoch);
  void StartEvaluation(int64_t epoch);
  void EvaluationDone(const Result<Evaluated>& evaluated);
  void StopWhenIdle();
  Status MakeMachines(const cluster::Snapshot& start);
  void StartMachines();
  void StartAgain(const std::string& reason);
  std::span<const float> ParametersHere() const;
  int64_t VersionHere() const;
  void Confuse();
  std::optional<TimePoint> NextWake() const;
  void Tick(TimePoint now);
  void TickCoordinator();

  RunHostOptions options_;
  base::EventLoop loop_;
  std::unique_ptr<cluster::Leader> leader_;
  std::unique_ptr<cluster::Coordinator> coordinator_;
  cluster::JobSpec spec_;
  std::shared_ptr<const cluster::Snapshot> saved_;  // the newest checkpoint's
  std::optional<int64_t> evaluate_saved_;           // an epoch, once its checkpoint is there
  std::optional<cluster::SampleStore> store_;       // once the coordinator has begun, if it feeds
  std::map<uint64_t, cluster::DeviceId> devices_;   // of admitted connections
  std::map<cluster::DeviceId, uint64_t> connections_;
  std::deque<Local> local_;
  bool delivering_ = false;

  TimePoint began_;
  TimePoint next_poll_;  // when the face is redrawn and signals are looked for
  Outcome outcome_;
  bool over_ = false;     // the coordinator has said how the run ended
  bool stopped_ = false;  // the coordinator is done; evaluations may still run
  bool draining_ = false;
  bool tick_waits_ = false;         // the coordinator's, behind what has come before its time
  int64_t evaluated_version_ = -1;  // newest parameters given to the evaluator
  int evaluations_running_ = 0;

  std::unique_ptr<Evaluator> evaluator_;  // used by eval_thread_; null: no test data
  base::WorkerThread saver_;
  base::WorkerThread sample_reader_;
  base::WorkerThread eval_thread_;
  std::unique_ptr<net::Hub> hub_;  // last: its callbacks use all of the above
};

}  // namespace weft::app
