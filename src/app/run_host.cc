#include "app/run_host.h"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "app/job_spec.h"
#include "app/signals.h"
#include "base/log.h"
#include "cluster/peer_lines.h"
#include "data/sample_packet.h"

namespace weft::app {
namespace {

using cluster::Address;
using cluster::Coordinator;
using cluster::Role;

// How often the face is redrawn and signals are looked for.
constexpr Duration kPoll = std::chrono::milliseconds(100);
constexpr Duration kShutdownGrace = std::chrono::seconds(3);
// For devices on slow links to hear that the run is over.
constexpr Duration kFarewell = std::chrono::seconds(10);

TimePoint Now() { return base::SystemClock().Now(); }

}  // namespace

Result<std::unique_ptr<RunHost>> RunHost::Listen(const std::string& listen) {
  std::unique_ptr<RunHost> host(new RunHost);
  ASSIGN_OR_RETURN(host->hub_, net::Hub::Start({.listen = listen}, host.get()));
  return host;
}

RunHost::~RunHost() {
  if (hub_ != nullptr) hub_->Shutdown(kShutdownGrace);
}

Status RunHost::Open(RunHostOptions options) {
  options_ = std::move(options);
  const Job& job = *options_.job;
  spec_ = JobSpecOf(job, {.run = options_.folder->record().run,
                          .token = options_.token,
                          .start_workers = options_.start_workers,
                          .site = options_.site,
                          .feed_samples = options_.feed_samples});
  RETURN_IF_ERROR(cluster::Validate(spec_));
  RETURN_IF_ERROR(MakeMachines(options_.start));
  if (job.test != nullptr) {
    ASSIGN_OR_RETURN(evaluator_, Evaluator::Make(job.graph, job.test, job.config.cluster.kernels,
                                                 options_.eval_threads));
  }
  return OkStatus();
}

Status RunHost::MakeMachines(const cluster::Snapshot& start) {
  ASSIGN_OR_RETURN(leader_, cluster::Leader::Make(spec_, start));
  coordinator_ = std::make_unique<Coordinator>(spec_, options_.store, start.step, start.version);
  return OkStatus();
}

void RunHost::StartMachines() {
  const cluster::Actions first = coordinator_->Start(Now());
  store_.reset();
  if (options_.feed_samples) {
    store_.emplace(cluster::SampleStore::Options{.term = coordinator_->term(),
                                                 .samples = options_.job->source->size(),
                                                 .sample_bytes = spec_.fed_sample_bytes});
  }
  Do(Coordinator::kAddress, first);
}

// As a process that is started again would: from the last checkpoint, with no device connected.
void RunHost::StartAgain(const std::string& reason) {
  Show(cluster::Warning{reason + "; the run goes on from its last checkpoint"});
  for (const auto& [connection, device] : std::exchange(devices_, {})) {
    hub_->Drop(connection, Unavailable("the run goes back to its last checkpoint: " + reason));
  }
  connections_.clear();
  local_.clear();
  cluster::Snapshot start = options_.start;
  Status status;
  if (auto found = options_.checkpoints->ReadLatest(); found.ok()) {
    start = std::move(found->checkpoint.snapshot);
  } else if (found.status().code() != Code::kNotFound) {
    status = found.status();
  }
  options_.checkpoints->GoOnFrom(start.step);
  saved_.reset();
  evaluate_saved_.reset();
  if (status.ok()) status = MakeMachines(start);
  if (!status.ok()) return Do(Coordinator::kAddress, cluster::Stop{status});
  StartMachines();
}

void RunHost::Do(Address, const cluster::Restart& restart) {
  // After what asks for it is done; what is being written to the disk comes first.
  saver_.Post([this, reason = restart.reason] {
    loop_.Post([this, reason] {
      if (!stopped_) StartAgain(reason);
    });
  });
}

Result<std::unique_ptr<net::Connection>> RunHost::Connect(net::ConnectionHandler* handler) {
  return hub_->Connect({}, handler);
}

void RunHost::Fail(const Status& status) {
  loop_.Post([this, status] {
    if (!stopped_) Do(Coordinator::kAddress, cluster::Stop{status});
  });
}

// ---- the wire: gRPC's threads hand over to the loop

void RunHost::OnMessage(uint64_t connection, cluster::Envelope envelope) {
  loop_.Post([this, connection, envelope = std::move(envelope)] { Receive(connection, envelope); });
}

void RunHost::OnPart(uint64_t connection) {
  loop_.Post([this, connection] { Sign(connection); });
}

void RunHost::OnDisconnect(uint64_t connection, Status status) {
  loop_.Post([this, connection, status = std::move(status)] { Lost(connection, status); });
}

void RunHost::Receive(uint64_t connection, const cluster::Envelope& envelope) {
  const auto device = devices_.find(connection);
  if (device != devices_.end()) {
    // Who speaks is known from the connection, whatever the message says.
    const Address from{device->second, envelope.from.role};
    const bool here = envelope.to.device == cluster::kCoordinatorDevice;
    if (cluster::OfDevice(from.role) && (here || cluster::BetweenDevices(envelope.message))) {
      Route(from, envelope.to, envelope.message);
    } else {
      base::LogDebug("device {} sent {} to device {}: dropped", from.device,
                     cluster::MessageName(envelope.message), envelope.to.device);
    }
  } else if (const auto* hello = std::get_if<cluster::Hello>(&envelope.message)) {
    Do(Coordinator::kAddress, coordinator_->OnHello(Now(), connection, *hello));
  } else {
    hub_->Drop(connection, FailedPrecondition("the first message must be hello"));
  }
}

void RunHost::Sign(uint64_t connection) {
  const auto device = devices_.find(connection);
  if (device == devices_.end()) return;
  Do(Coordinator::kAddress, coordinator_->OnSign(Now(), device->second));
}

void RunHost::Lost(uint64_t connection, const Status& status) {
  const auto found = devices_.find(connection);
  if (found == devices_.end()) return;
  const cluster::DeviceId device = found->second;
  devices_.erase(found);
  if (const auto current = connections_.find(device);
      current == connections_.end() || current->second != connection) {
    return;  // it has come back over another one
  }
  connections_.erase(device);
  if (store_) store_->Forget(device);
  Do(Coordinator::kAddress,
     coordinator_->OnDisconnected(Now(), device,
                                  status.ok() ? "closed its connection" : status.message()));
}

// ---- between the roles

void RunHost::Route(Address from, Address to, cluster::Message message) {
  if (to.device == cluster::kCoordinatorDevice) {
    local_.push_back({from, to, std::move(message)});
    DeliverLocal();
    return;
  }
  const auto connection = connections_.find(to.device);
  if (connection == connections_.end()) return;
  const Status status = hub_->Send(connection->second, {from, to, std::move(message)});
  if (status.code() == Code::kResourceExhausted) {
    hub_->Drop(connection->second, status.Annotate("does not keep up"));
  }
}

void RunHost::DeliverLocal() {
  if (delivering_) return;
  delivering_ = true;
  while (!local_.empty()) {
    const Local next = std::move(local_.front());
    local_.pop_front();
    if (next.to.role == Role::kCoordinator) {
      Do(next.to, coordinator_->Handle(Now(), next.from, next.message));
    } else if (next.to.role == Role::kLeader) {
      Do(next.to, leader_->Handle(Now(), next.from, next.message));
    } else if (next.to.role == Role::kStore && store_) {
      Do(next.to, store_->Handle(Now(), next.from, next.message));
    }
  }
  delivering_ = false;
}

// ---- actions

void RunHost::Do(Address self, cluster::Actions actions) {
  for (const cluster::Action& action : actions) {
    std::visit([&](const auto& each) { Do(self, each); }, action);
  }
}

template <class Other>
void RunHost::Do(Address, const Other&) {
  CHECK(false) << "not an action of a coordinator or leader";
}

void RunHost::Do(Address self, const cluster::Send& send) { Route(self, send.to, send.message); }

void RunHost::Do(Address self, const cluster::Reply& reply) {
  const Status status = hub_->Send(
      reply.connection, {self, {cluster::kCoordinatorDevice, Role::kWorker}, reply.message});
  if (!status.ok()) base::LogDebug("reply not sent: {}", status.message());
}

void RunHost::Do(Address, const cluster::Admit& admit) {
  if (const auto old = connections_.find(admit.device); old != connections_.end()) {
    devices_.erase(old->second);
    hub_->Close(old->second);
  }
  devices_[admit.connection] = admit.device;
  connections_[admit.device] = admit.connection;
}

void RunHost::Do(Address, const cluster::CloseConnection& close) {
  if (const auto found = devices_.find(close.connection); found != devices_.end()) {
    connections_.erase(found->second);
    devices_.erase(found);
  }
  hub_->Close(close.connection);
}

void RunHost::Do(Address, const cluster::SaveCheckpoint& save) {
  saved_ = save.snapshot;
  if (evaluate_saved_) StartEvaluation(*std::exchange(evaluate_saved_, std::nullopt));
  saver_.Post([this, snapshot = save.snapshot, asked_by = leader_.get()] {
    cluster::Checkpoint checkpoint;
    checkpoint.run = options_.folder->record().run;
    checkpoint.config_digest = options_.job->config.Digest();
    checkpoint.epoch = snapshot->step / options_.job->steps_per_epoch();
    checkpoint.snapshot = *snapshot;
    const Result<std::string> path = options_.checkpoints->Write(checkpoint);
    loop_.Post([this, step = snapshot->step, path, asked_by] {
      if (asked_by != leader_.get()) return;  // the run has begun again since
      Do(leader_->address(),
         leader_->OnCheckpointDone(Now(), step, path.ok() ? *path : std::string(), path.status()));
    });
  });
}

void RunHost::Do(Address, const cluster::ReadSamples& read) {
  sample_reader_.Post([this, read] {
    Bytes packet;
    data::EncodeSamples(*options_.job->source, read.request.indices, &packet);
    loop_.Post([this, read, values = std::make_shared<const Bytes>(std::move(packet))] {
      if (store_) Do(cluster::SampleStore::kAddress, store_->OnRead(Now(), read, {}, values));
    });
  });
}

void RunHost::Do(Address, const cluster::Emit& emit) { Show(emit.event); }

void RunHost::Do(Address, const cluster::Stop& stop) {
  if (!stop.status.ok() && outcome_.done.status.ok()) {
    outcome_.done.how = cluster::RunDone::How::kFailed;
    outcome_.done.status = stop.status;
  }
  stopped_ = true;
  evaluate_saved_.reset();
  if (outcome_.done.status.ok() && evaluated_version_ != VersionHere()) {
    StartEvaluation(outcome_.result.epochs - 1);
  }
  StopWhenIdle();
}

// Where devices lead, this process has the parameters of the last checkpoint.
std::span<const float> RunHost::ParametersHere() const {
  if (!leader_->parameters().empty()) return leader_->parameters();
  return saved_ == nullptr ? std::span<const float>(options_.start.parameters)
                           : std::span<const float>(saved_->parameters);
}

int64_t RunHost::VersionHere() const {
  if (!leader_->parameters().empty()) return leader_->version();
  return saved_ == nullptr ? options_.start.version : saved_->version;
}

void RunHost::StopWhenIdle() {
  if (stopped_ && evaluations_running_ == 0) loop_.Stop();
}

// ---- the face, and the look at the test data

void RunHost::Show(const cluster::Event& event) {
  // Everyone leaves when the run is over.
  if (over_ && std::holds_alternative<cluster::DeviceLeft>(event)) return;
  if (!options_.announce_waiting && std::holds_alternative<cluster::WaitingForWorkers>(event))
    return;
  const TimePoint now = Now();
  options_.view->Show(now, event);
  options_.folder->Add(event, base::Seconds(now - began_));
  Note(event);
}

void RunHost::Note(const cluster::Event& event) {
  if (const auto* step = std::get_if<cluster::StepDone>(&event)) {
    outcome_.result.steps = step->step + 1;
    outcome_.result.samples += step->samples;
  } else if (const auto* epoch = std::get_if<cluster::EpochDone>(&event)) {
    outcome_.result.epochs = epoch->epoch + 1;
    outcome_.result.train_loss = epoch->loss;
    AfterEpoch(*epoch);
  } else if (const auto* device = std::get_if<cluster::DeviceProgress>(&event)) {
    if (device->samples_per_second > 0) {
      outcome_.speeds[device->device] = device->samples_per_second;
    }
  } else if (const auto* done = std::get_if<cluster::RunDone>(&event)) {
    outcome_.done = *done;
    over_ = true;
  }
}

void RunHost::AfterEpoch(const cluster::EpochDone& epoch) {
  const config::JobOptions& job = options_.job->config.job;
  const bool due = job.eval_every > 0 && (epoch.epoch + 1) % job.eval_every == 0;
  if (due && evaluator_ != nullptr) {
    StartEvaluation(epoch.epoch);
  } else if (job.target_accuracy > 0) {
    // The coordinator waits after each epoch; not from within its own call.
    loop_.Post([this] { Do(Coordinator::kAddress, coordinator_->Continue(Now())); });
  }
}

void RunHost::StartEvaluation(int64_t epoch) {
  if (evaluator_ == nullptr) return;
  const bool elsewhere = leader_->parameters().empty();
  if (elsewhere && !stopped_ && (saved_ == nullptr || saved_->version == evaluated_version_)) {
    evaluate_saved_ = epoch;
    return;
  }
  evaluated_version_ = VersionHere();
  ++evaluations_running_;
  const std::span<const float> now = ParametersHere();
  eval_thread_.Post([this, epoch, parameters = std::vector<float>(now.begin(), now.end())] {
    const Result<Evaluated> evaluated = evaluator_->Evaluate(parameters, epoch);
    loop_.Post([this, evaluated] { EvaluationDone(evaluated); });
  });
}

void RunHost::EvaluationDone(const Result<Evaluated>& evaluated) {
  --evaluations_running_;
  if (!evaluated.ok()) {
    Show(cluster::Warning{"evaluation failed: " + evaluated.status().message()});
  } else {
    const TimePoint now = Now();
    options_.view->Show(now, *evaluated);
    options_.folder->Add(*evaluated, base::Seconds(now - began_));
    outcome_.result.test_loss = evaluated->loss;
    outcome_.result.test_accuracy = evaluated->accuracy;
  }
  const double target = options_.job->config.job.target_accuracy;
  if (target > 0 && !stopped_) {
    const bool reached = evaluated.ok() && evaluated->accuracy >= target;
    Do(Coordinator::kAddress,
       reached ? coordinator_->StopEarly(
                     Now(), fmt::format("test accuracy {:.4f} reached the target of {:.4f}",
                                        evaluated->accuracy, target))
               : coordinator_->Continue(Now()));
  }
  StopWhenIdle();
}

// Once the loop has ended and no evaluation runs.
void RunHost::Confuse() {
  if (evaluator_ == nullptr || !outcome_.done.status.ok()) return;
  Result<std::optional<Confusion>> confusion = evaluator_->Confuse(outcome_.parameters);
  if (confusion.ok()) {
    outcome_.confusion = std::move(confusion).value();
  } else {
    base::LogWarning("no confusion matrix: {}", confusion.status().message());
  }
}

// ---- the loop

std::optional<TimePoint> RunHost::NextWake() const {
  if (stopped_ || tick_waits_) return next_poll_;
  const std::optional<TimePoint> wake = coordinator_->NextWake();
  return wake && *wake < next_poll_ ? *wake : next_poll_;
}

void RunHost::Tick(TimePoint now) {
  next_poll_ = now + kPoll;
  options_.view->Tick(now);
  if (stopped_) return;
  if (!draining_ && SignalReceived() != 0) {
    draining_ = true;
    base::LogInfo("stopping: finishing the step, saving a checkpoint (again to stop at once)");
    Do(Coordinator::kAddress, coordinator_->Drain(now, "asked to stop"));
  }
  const auto wake = coordinator_->NextWake();
  if (!wake || *wake > now || std::exchange(tick_waits_, true)) return;
  // A device whose sign of life waits to be heard is not silent.
  loop_.Post([this] { TickCoordinator(); });
}

void RunHost::TickCoordinator() {
  tick_waits_ = false;
  if (!stopped_) Do(Coordinator::kAddress, coordinator_->Tick(Now()));
}

RunHost::Outcome RunHost::Run() {
  began_ = Now();
  outcome_.result.steps = options_.start.step;
  outcome_.result.epochs = options_.start.step / options_.job->steps_per_epoch();
  StartMachines();
  loop_.Run([this] { return NextWake(); }, [this](TimePoint now) { Tick(now); });
  if (over_ && !hub_->AwaitDepartures(kFarewell))
    base::LogDebug("some devices did not say goodbye");
  hub_->Shutdown(kShutdownGrace);
  RunResult& result = outcome_.result;
  const net::HubTraffic traffic = hub_->traffic();
  result.up_bytes = static_cast<int64_t>(traffic.received_bytes);
  result.down_bytes = static_cast<int64_t>(traffic.sent_bytes);
  result.seconds = base::Seconds(Now() - began_);
  result.samples_per_second = static_cast<double>(result.samples) / std::max(result.seconds, 1e-9);
  result.lost_samples = outcome_.done.lost_samples;
  result.duplicated_samples = outcome_.done.duplicated_samples;
  outcome_.parameters.assign(ParametersHere().begin(), ParametersHere().end());
  Confuse();
  return std::move(outcome_);
}

}  // namespace weft::app
