#include "sim/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "cluster/describe.h"
#include "cluster/range_state.h"
#include "engine/engine.h"
#include "sim/trace.h"

namespace weft::sim {
namespace {

cluster::UpdateEncoder::Options EncoderOptions(const cluster::JobSpec& spec) {
  return {.size = spec.parameter_count(),
          .residual_size = spec.deterministic ? 0 : spec.trainable_count,
          .run = cluster::RunTag(spec.run)};
}

// Where neither leaders nor relays are on devices, none says where it can be reached.
bool CanBeDialled(const SimDevice::Options& options, const cluster::JobSpec& spec) {
  return options.box->can_lead && (spec.leaders != 1 || !options.box->site.empty());
}

}  // namespace

SimDevice::SimDevice(const Options& options, const cluster::JobSpec& spec)
    : SerialProcess(options.process),
      options_(options),
      spec_(spec),
      parameter_count_(spec.parameter_count()),
      can_be_dialled_(CanBeDialled(options, spec)),
      costs_(options.box->leading, spec.parameter_count()),
      down_(cluster::MakeWholeCodec(spec.codec_down).value()),
      momentum_(spec.trainable_count, engine::MomentumOf(cluster::UpdateRule(spec)),
                spec.parameter_count()),
      corrects_momentum_(
          cluster::CorrectsMomentum(spec.codec_up, spec.aggregation, spec.optimizer)),
      encoder_(codec::MakeCodec(spec.codec_up).value(), EncoderOptions(spec)),
      worker_(options.worker),
      peers_({.name = options.worker.name,
              .token = options.worker.token,
              .program = options.worker.program,
              .incarnation = options.worker.incarnation,
              .endpoint = can_be_dialled_ ? options.worker.name : std::string()}) {}

SimDevice::~SimDevice() { End(); }

void SimDevice::End() {
  if (std::exchange(ended_, true)) return;
  audience_.Tell(&Observer::OnActivity, loop_->now(), options_.number, Activity::kOff);
  audience_.Tell(&Observer::OnDeviceDown, loop_->now(), options_.number);
}

void SimDevice::Start() {
  audience_.Tell(&Observer::OnDeviceUp, loop_->now(), options_.number, options_.worker.incarnation);
  audience_.Tell(&Observer::OnActivity, loop_->now(), options_.number, Activity::kIdle);
  if (can_be_dialled_) network_->Listen(this, options_.host);
  NoteHost(0);
  const TimePoint begin = options_.tempo->Finish(loop_->now(), options_.box->start_seconds);
  if (begin == loop_->now()) return Perform(worker_.Start(begin));
  After(begin - loop_->now(), [this] {
    if (!ended_) Perform(worker_.Start(loop_->now()));
  });
}

void SimDevice::Leave(const std::string& reason) { Perform(worker_.Leave(loop_->now(), reason)); }

// ---- in

void SimDevice::OnConnected(cluster::ConnectionId connection) {
  if (crashed()) return;
  if (connection_ == connection) return Perform(worker_.OnConnected(loop_->now()));
  const auto it = dialed_numbers_.find(connection);
  if (it != dialed_numbers_.end()) Perform(peers_.OnOpen(loop_->now(), it->second));
}

void SimDevice::OnMessage(cluster::ConnectionId connection, const cluster::Envelope& envelope) {
  if (crashed() || ended_) return;
  if (connection_ != connection) {
    Perform(peers_.OnMessage(loop_->now(), LineOf(connection), envelope));
    return DeliverLocal();
  }
  Perform(peers_.Note(envelope));
  Accept(envelope);
  DeliverLocal();
}

void SimDevice::OnDisconnected(cluster::ConnectionId connection, const std::string& reason) {
  if (crashed()) return;
  if (connection_ == connection) {
    connection_.reset();
    TellRelayLost(cluster::kCoordinatorDevice);
    return Perform(worker_.OnDisconnected(loop_->now(), reason));
  }
  const cluster::PeerLine line = LineOf(connection);
  if (line.dialed) {
    dialed_numbers_.erase(connection);
    dialed_.erase(line.number);
  }
  if (!ended_) Perform(peers_.OnClosed(loop_->now(), line, reason));
}

void SimDevice::OnTransfer(bool up, int64_t bytes, double seconds) {
  worker_.OnTransfer(up, bytes, seconds);
}

// The leader handles what comes when its turn has come, the worker at once.
void SimDevice::Accept(const cluster::Envelope& envelope) {
  const double seconds = costs_.Receive(envelope.message) * Slowness();
  if (envelope.to.role == cluster::Role::kLeader) {
    return Enqueue(seconds, [this, envelope] { Lead(envelope); });
  }
  if (envelope.to.role == cluster::Role::kRelay) {
    return Enqueue(seconds, [this, envelope] { PassOn(envelope); });
  }
  audience_.Tell(&Observer::OnDelivered, loop_->now(), envelope);
  Perform(worker_.Handle(loop_->now(), envelope.from, envelope.message));
}

void SimDevice::Lead(const cluster::Envelope& envelope) {
  if (ended_ || leader_ == nullptr || envelope.to != leader_->address()) return;
  audience_.Tell(&Observer::OnDelivered, loop_->now(), envelope);
  const cluster::Actions actions = leader_->Handle(loop_->now(), envelope.from, envelope.message);
  Spend(costs_.Apply(envelope.message, actions) * Slowness());
  Perform(leader_->address(), actions);
  if (crashed() || ended_) return;
  audience_.Tell(&Observer::OnLeaderRest, loop_->now(), options_.number, *leader_);
}

void SimDevice::PassOn(const cluster::Envelope& envelope) {
  if (ended_ || relay_ == nullptr || envelope.to != relay_->address()) return;
  audience_.Tell(&Observer::OnDelivered, loop_->now(), envelope);
  Perform(relay_->address(), relay_->Handle(loop_->now(), envelope.from, envelope.message));
}

// Between worker, leader and relay, and from other devices: after what is being handled.
void SimDevice::DeliverLocal() {
  if (std::exchange(delivering_, true)) return;
  while (!local_.empty() && !crashed() && !ended_) {
    const cluster::Envelope next = std::move(local_.front());
    local_.pop_front();
    // What came over the network is in the trace already.
    if (next.from.device == worker_.address().device) {
      TraceMessage(loop_, static_cast<uint64_t>(options_.host), next);
    }
    Accept(next);
  }
  delivering_ = false;
}

// ---- out

void SimDevice::Perform(cluster::Address from, const cluster::Actions& actions) {
  const size_t done = Survives(actions.size());
  for (size_t i = 0; i < done; ++i) {
    std::visit([&](const auto& a) { Do(from, a); }, actions[i]);
  }
  if (crashed()) return;
  DeliverLocal();
  Rest();
}

void SimDevice::Rest() {
  audience_.Tell(&Observer::OnDeviceRest, loop_->now(), options_.number, worker_);
  std::optional<TimePoint> wake = worker_.NextWake();
  const auto peers = ended_ ? std::nullopt : peers_.NextWake();
  if (peers && (!wake || *peers < *wake)) wake = peers;
  const auto relay = ended_ || relay_ == nullptr ? std::nullopt : relay_->NextWake();
  if (relay && (!wake || *relay < *wake)) wake = relay;
  WakeAt(wake, [this] { Wake(); });
}

void SimDevice::Wake() {
  if (!ended_) Perform(peers_.Tick(loop_->now()));
  Perform(worker_.Tick(loop_->now()));
  if (!ended_ && relay_ != nullptr) Perform(relay_->address(), relay_->Tick(loop_->now()));
}

void SimDevice::Perform(const cluster::PeerLines::Actions& actions) {
  for (const cluster::PeerLines::Action& action : actions) {
    std::visit([&](const auto& a) { Do(a); }, action);
  }
}

template <class Other>
void SimDevice::Do(const Other&) {
  CHECK(false) << "an action that only a coordinator or leader asks for";
}

void SimDevice::Do(cluster::Address from, const cluster::Send& send) {
  audience_.Tell(&Observer::OnSent, loop_->now(), cluster::Envelope{from, send.to, send.message});
  Perform(peers_.Send(loop_->now(), from, send));
}

void SimDevice::Do(const cluster::Connect&) {
  Do(cluster::Disconnect{});
  audience_.Tell(&Observer::OnDial, loop_->now(), options_.number);
  connection_ = network_->Dial(this, options_.host);
}

void SimDevice::Do(const cluster::Disconnect&) {
  if (connection_) network_->Close(this, *connection_);
  connection_.reset();
}

void SimDevice::Do(const cluster::OpenRun& open) {
  audience_.Tell(&Observer::OnJoined, loop_->now(), options_.number, open.welcome.device);
  if (options_.fed.sample_bytes > 0) {
    // Which samples these are does not matter to what a device computes here, only that each is
    // one.
    cluster::SampleCacheOptions cache{.budget_bytes = options_.worker.storage_bytes,
                                      .sample_bytes = options_.fed.sample_bytes,
                                      .indices = {}};
    cache.indices = [order = options_.fed.order](const cluster::Lease& lease) {
      return order.Indices({lease.epoch, lease.begin, lease.count});
    };
    worker_.UseStore(std::move(cache));
  }
  worker_.UseCodec(codec::MakeCodec(spec_.codec_down).value());
  ready_ = options_.tempo->Finish(std::max(ready_, loop_->now()), options_.box->open_seconds);
  if (!can_be_dialled_) return;
  const cluster::Address self{open.welcome.device, cluster::Role::kLeader};
  leader_ = options_.make_leader ? options_.make_leader(self)
                                 : cluster::Leader::MakeEmpty(spec_, self).value();
  relay_ = cluster::SiteRelay::Make(spec_, {self.device, cluster::Role::kRelay}).value();
}

void SimDevice::Do(const cluster::Settled& settled) {
  encoder_.Settle(settled.term, settled.lease, settled.range, settled.applied);
  audience_.Tell(&Observer::OnSettled, loop_->now(), options_.number, settled, encoder_);
}

void SimDevice::Do(const cluster::Emit& emit) {
  if (loop_->verbose()) {
    loop_->Print(fmt::format("{}: {}", options_.worker.name, cluster::Describe(emit.event)));
  }
}

void SimDevice::Do(const cluster::Stop& stop) {
  stopped_ = stop.status;
  End();
  network_->Vanish(this);  // lines to other devices, if there are any
  if (options_.on_stopped) After(Duration(0), options_.on_stopped);
}

// ---- lines to other devices

std::vector<cluster::ConnectionId> SimDevice::lines() const {
  std::vector<cluster::ConnectionId> lines;
  for (const auto& [number, connection] : dialed_) lines.push_back(connection);
  return lines;
}

cluster::PeerLine SimDevice::LineOf(cluster::ConnectionId connection) const {
  const auto it = dialed_numbers_.find(connection);
  if (it != dialed_numbers_.end()) return {true, it->second};
  return {false, connection};
}

std::optional<cluster::ConnectionId> SimDevice::ConnectionOf(cluster::PeerLine line) const {
  if (!line.dialed) return line.number;
  const auto it = dialed_.find(line.number);
  return it == dialed_.end() ? std::nullopt : std::optional(it->second);
}

void SimDevice::Do(const cluster::PeerLines::Dial& dial) {
  const std::optional<HostId> host =
      options_.find_host ? options_.find_host(dial.endpoint) : std::nullopt;
  if (!host || *host == options_.host) {
    return After(Duration(0), [this, number = dial.number] {
      Perform(peers_.OnClosed(loop_->now(), {true, number}, "no such host"));
      Rest();
    });
  }
  const cluster::ConnectionId connection = network_->Dial(this, options_.host, *host);
  dialed_[dial.number] = connection;
  dialed_numbers_[connection] = dial.number;
}

void SimDevice::Transmit(cluster::ConnectionId connection, const cluster::Envelope& envelope) {
  if (envelope.from.role == cluster::Role::kWorker) {
    return network_->Send(this, connection, envelope);
  }
  Spend(costs_.Send(envelope.message) * Slowness());
  AfterSpent([this, connection, envelope] { network_->Send(this, connection, envelope); });
}

void SimDevice::Do(const cluster::PeerLines::Write& write) {
  if (const auto connection = ConnectionOf(write.line)) Transmit(*connection, write.envelope);
}

void SimDevice::Do(const cluster::PeerLines::Relay& relay) {
  if (connection_) Transmit(*connection_, relay.envelope);
}

void SimDevice::Do(const cluster::PeerLines::Close& close) {
  const auto connection = ConnectionOf(close.line);
  if (!connection) return;
  network_->Close(this, *connection);
  if (!close.line.dialed) return;
  dialed_.erase(close.line.number);
  dialed_numbers_.erase(*connection);
}

void SimDevice::Do(const cluster::PeerLines::Deliver& deliver) {
  local_.push_back(deliver.envelope);
}

void SimDevice::Do(const cluster::PeerLines::Lost& lost) {
  audience_.Tell(&Observer::OnPeerLost, loop_->now(), worker_.address().device, lost.device);
  TellRelayLost(lost.device);
  Perform(worker_.OnPeerLost(loop_->now(), lost.device));
}

void SimDevice::TellRelayLost(cluster::DeviceId device) {
  if (ended_ || crashed() || relay_ == nullptr) return;
  Perform(relay_->address(), relay_->OnLost(loop_->now(), device));
}

// ---- work

Status SimDevice::Obstacle(const cluster::Lease& lease) const {
  if (options_.troubles.unreadable_data) return base::NotFound("no data here");
  const auto has = static_cast<double>(options_.box->memory_bytes);
  const double takes = options_.box->step_bytes.At(lease.count);
  if (has == 0 || takes <= has) return OkStatus();
  return base::ResourceExhausted(
      fmt::format("{} samples take {:.0f} MiB, the device has {:.0f} MiB", lease.count,
                  takes / 0x1p20, has / 0x1p20));
}

// What it could read of its machine while it computes so many samples.
void SimDevice::NoteHost(int64_t samples) {
  const DeviceOptions& box = *options_.box;
  const auto used = static_cast<int64_t>(box.step_bytes.At(samples));
  worker_.OnHost(std::max<int64_t>(box.memory_bytes - used, 0), box.load, 0);
}

void SimDevice::Do(const cluster::Compute& compute) {
  if (const Status obstacle = Obstacle(compute.lease); !obstacle.ok()) {
    return After(Duration(0),
                 [this, obstacle] { Perform(worker_.OnCannotCompute(loop_->now(), obstacle)); });
  }
  Tell(Activity::kCompute);
  NoteHost(compute.lease.count);
  const DeviceOptions& box = *options_.box;
  const double luck =
      box.spread > 0 ? loop_->rng().NextUniform(1 - box.spread, 1 + box.spread) : 1.0;
  const double warmup = std::exchange(warm_, true) ? 0 : box.warmup_seconds;
  const TimePoint begin = std::max(ready_, loop_->now());
  const double plan = PlanSeconds(compute.lease.count);
  const TimePoint planned = plan > 0 ? options_.tempo->Finish(begin, plan) : begin;
  running_ = Running{.compute = compute,
                     .milestones = MilestonesOf(compute),
                     .at = planned,
                     .plan_seconds = base::Seconds(planned - begin)};
  for (Milestone& milestone : running_->milestones) {
    milestone.seconds = warmup + luck * milestone.seconds;
  }
  Proceed();
}

// At speed 1; of a size that it has a plan for none.
double SimDevice::PlanSeconds(int64_t samples) {
  const bool is_new = std::erase(planned_, samples) == 0;
  planned_.push_back(samples);
  if (planned_.size() > engine::kPreparedSizes) planned_.pop_front();
  return is_new ? options_.box->plan_seconds : 0;
}

void SimDevice::Tell(Activity activity) {
  if (!ended_) audience_.Tell(&Observer::OnActivity, loop_->now(), options_.number, activity);
}

// Where the first of its stretches is read, as a share of the computing time. What no layer reads
// is wanted with the loss: the workload takes a whole vector.
double SimDevice::ReadAt(const cluster::Range& range) const {
  const bool at_once = options_.stretch_times == nullptr || spec_.aggregation.TrainsLocally();
  if (at_once) return 0;
  double first = 1;
  for (const StretchTime& stretch : *options_.stretch_times) {
    const bool in_it = stretch.begin < range.end() && range.begin < stretch.begin + stretch.count;
    first = std::min(first, in_it ? std::min(stretch.read_at, stretch.final_at) : stretch.final_at);
  }
  return first;
}

// Where the last of its gradients is final, likewise.
double SimDevice::FinalAt(const cluster::Range& range) const {
  double last = 0;
  for (const StretchTime& stretch : *options_.stretch_times) {
    const bool in_it = stretch.begin < range.end() && range.begin < stretch.begin + stretch.count;
    if (in_it) last = std::max(last, stretch.final_at);
  }
  return last;
}

// In their order, at speed 1. Half of the time beside the math comes first, unpacking the pieces
// one by one; the other half packs the gradient, each range by itself.
std::deque<SimDevice::Milestone> SimDevice::MilestonesOf(const cluster::Compute& compute) const {
  std::vector<Milestone> all = Reads(compute);
  for (const Milestone& ready : EarlyParts(compute)) all.push_back(ready);
  std::ranges::stable_sort(all, {}, &Milestone::seconds);
  const DeviceOptions& box = *options_.box;
  all.push_back({.seconds = box.lease_seconds + box.step_seconds.At(compute.lease.count)});
  return {all.begin(), all.end()};
}

// Of the pieces that are yet to come.
std::vector<SimDevice::Milestone> SimDevice::Reads(const cluster::Compute& compute) const {
  const DeviceOptions& box = *options_.box;
  const double math = box.step_seconds.At(compute.lease.count);
  std::vector<Milestone> reads;
  for (size_t i = 0; i < compute.pieces.size(); ++i) {
    const cluster::Piece& piece = compute.pieces[i];
    if (piece.values != nullptr) continue;
    const double unpacked =
        static_cast<double>(piece.range.begin) / static_cast<double>(parameter_count_);
    const double seconds = ReadAt(piece.range) * math + 0.5 * unpacked * box.lease_seconds;
    reads.push_back({seconds, Milestone::Kind::kRead, i});
  }
  return reads;
}

std::vector<SimDevice::Milestone> SimDevice::EarlyParts(const cluster::Compute& compute) const {
  if (compute.ranges.size() < 2 || options_.stretch_times == nullptr) return {};
  std::vector<std::pair<double, size_t>> ready;
  for (size_t i = 0; i < compute.ranges.size(); ++i) {
    const double share = FinalAt(compute.ranges[i]);
    if (share > 0 && share < 1) ready.emplace_back(share, i);
  }
  std::ranges::sort(ready);
  const DeviceOptions& box = *options_.box;
  const double math = box.step_seconds.At(compute.lease.count);
  std::vector<Milestone> parts;
  int64_t packed = 0;
  for (const auto& [share, i] : ready) {
    packed += compute.ranges[i].count;
    const double pack = static_cast<double>(packed) / static_cast<double>(parameter_count_);
    const double seconds = share * math + 0.5 * (1 + pack) * box.lease_seconds;
    parts.push_back({seconds, Milestone::Kind::kReady, i});
  }
  return parts;
}

// Computes until the next milestone.
void SimDevice::Proceed() {
  Running& running = *running_;
  const double seconds = running.milestones.front().seconds;
  const TimePoint from = std::max(running.at, loop_->now());
  running.at = options_.tempo->Finish(from, seconds - std::exchange(running.passed, seconds));
  running.took += running.at - from;
  After(running.at - loop_->now(), [this] { Reach(); });
}

void SimDevice::Reach() {
  const Milestone milestone = running_->milestones.front();
  if (milestone.kind == Milestone::Kind::kDone) return Finish();
  if (milestone.kind == Milestone::Kind::kRead) {
    if (running_->compute.pieces[milestone.index].values == nullptr) {
      if (running_->given_up) return Cancel();
      running_->waits = true;
      return Tell(Activity::kIdle);
    }
  } else {
    HandOver(running_->compute.ranges[milestone.index]);
    if (crashed()) return;
  }
  running_->milestones.pop_front();
  Proceed();
}

// Nothing runs where the device cannot compute the lease, which it says a moment later.
void SimDevice::Do(const cluster::HandPiece& hand) {
  if (!running_) return;
  running_->compute.pieces[hand.piece].values = hand.values;
  if (!running_->waits || running_->milestones.front().index != hand.piece) return;
  running_->waits = false;
  running_->milestones.pop_front();
  Tell(Activity::kCompute);
  Proceed();
}

void SimDevice::Do(const cluster::GiveUp&) {
  if (!running_) return;
  running_->given_up = true;
  if (running_->waits) After(Duration(0), [this] { Cancel(); });
}

// A piece that is read now does not come.
void SimDevice::Cancel() {
  if (!running_->waits) Tell(Activity::kIdle);
  running_.reset();
  Perform(
      worker_.OnCannotCompute(loop_->now(), {Code::kCancelled, "parameters: they did not come"}));
}

// Computes the lease, which takes no time by itself.
void SimDevice::Produce() {
  if (running_->output) return;
  const cluster::Compute& compute = running_->compute;
  Output& output = running_->output.emplace();
  if (compute.lease.step == options_.troubles.nan_at_step) {
    output.status = {Code::kFailedPrecondition, "the loss is not finite (NaN)"};
    return;
  }
  std::vector<float> parameters(static_cast<size_t>(parameter_count_));
  const auto part = [](auto& values, const cluster::Range& range) {
    return std::span(values).subspan(static_cast<size_t>(range.begin),
                                     static_cast<size_t>(range.count));
  };
  for (const cluster::Piece& piece : compute.pieces) {
    CHECK(down_->Decode(*piece.values, part(parameters, piece.range)).ok());
  }
  auto computed = options_.workload->Compute(parameters, compute, options_.number);
  if (!computed.ok()) {
    output.status = computed.status();
    return;
  }
  if (compute.alone || corrects_momentum_) {
    momentum_.AddTo(0, computed->gradient);
  } else {
    momentum_.Clear();
  }
  if (compute.target) encoder_.Aim(*compute.target);
  cluster::Worker::Update& update = output.update;
  update.loss_sum = computed->loss_sum;
  update.correct = computed->correct;
  for (const cluster::Range& range : compute.ranges) {
    const std::span<const float> gradient = part(computed->gradient, range);
    const auto velocity =
        corrects_momentum_ ? momentum_.Velocity(range.begin, range.count) : std::span<float>();
    update.parts.emplace_back(range, encoder_
                                         .Encode(compute.term, compute.lease, range, gradient,
                                                 compute.VersionOf(range), velocity)
                                         .value());
  }
  audience_.Tell(&Observer::OnComputed, loop_->now(), options_.number, compute,
                 std::span<const float>(computed->gradient), update.parts, encoder_);
}

void SimDevice::HandOver(const cluster::Range& range) {
  Produce();
  Output& output = *running_->output;
  if (!output.status.ok()) return;  // said when the lease is done
  cluster::Worker::Update& update = output.update;
  const auto it = std::ranges::find(update.parts, range, &cluster::Worker::Part::range);
  const cluster::Payload gradient = it->gradient;
  update.parts.erase(it);
  Perform(worker_.OnPart(loop_->now(), range, gradient, update.loss_sum, update.correct));
}

void SimDevice::Finish() {
  const TimePoint now = loop_->now();
  Tell(Activity::kIdle);
  Produce();
  const Running running = *std::exchange(running_, std::nullopt);
  Output output = *running.output;
  if (!output.status.ok()) return Perform(worker_.OnFault(now, output.status));
  const int64_t samples = running.compute.lease.count;
  const double seconds = options_.box->step_seconds.At(samples) / options_.tempo->SpeedAt(now);
  if (seconds > 0) {
    output.update.samples_per_second = static_cast<double>(samples) / seconds;
  }
  output.update.seconds = base::Seconds(running.took);
  output.update.plan_seconds = running.plan_seconds;
  Perform(worker_.OnComputed(now, output.update));
}

}  // namespace weft::sim
