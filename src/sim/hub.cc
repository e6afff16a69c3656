#include "sim/hub.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "cluster/peer_lines.h"
#include "sim/trace.h"

namespace weft::sim {
namespace {

using cluster::Address;
using cluster::Role;

LeaderOptions LeadingOf(const HubOptions& hub) {
  return {.message_seconds = hub.message_seconds,
          .push_seconds = hub.push_seconds,
          .apply_seconds = hub.apply_seconds,
          .send_seconds = hub.send_seconds};
}

}  // namespace

Hub::Hub(const Options& options, const cluster::JobSpec& spec)
    : SerialProcess(options.process),
      costs_(LeadingOf(*options.costs), spec.parameter_count()),
      message_seconds_(options.costs->message_seconds),
      local_delay_(options.costs->local_delay),
      disk_write_time_(options.disk_write_time),
      disk_(options.disk),
      on_event_(options.on_event),
      first_step_(disk_->Latest(options.start).step),
      coordinator_(spec, disk_->store(), first_step_, disk_->Latest(options.start).version),
      leader_(cluster::Leader::Make(spec, disk_->Latest(options.start)).value()),
      store_options_{.samples = spec.samples, .sample_bytes = spec.fed_sample_bytes} {}

Hub::~Hub() {
  audience_.Tell(&Observer::OnHubKilled, loop_->now());
  if (writing_ != nullptr) disk_->CrashWhileWriting(*writing_);
}

bool Hub::Start() {
  const cluster::Actions actions = coordinator_.Start(loop_->now());
  const auto fails = [](const cluster::Action& action) {
    const auto* stop = std::get_if<cluster::Stop>(&action);
    return stop != nullptr && !stop->status.ok();
  };
  if (std::ranges::any_of(actions, fails)) return false;
  disk_->GoOnFrom(first_step_);
  audience_.Tell(&Observer::OnHubStarted, loop_->now(), coordinator_.term(), first_step_);
  store_options_.term = coordinator_.term();
  if (store_options_.sample_bytes > 0) store_.emplace(store_options_);
  network_->Listen(this);
  Perform(cluster::Coordinator::kAddress, actions);
  return true;
}

// ---- in

void Hub::OnMessage(cluster::ConnectionId connection, const cluster::Envelope& envelope) {
  const bool here = envelope.to.device == cluster::kCoordinatorDevice;
  Enqueue(here ? costs_.Receive(envelope.message) : message_seconds_,
          [this, connection, envelope] { Receive(connection, envelope); });
}

void Hub::OnDisconnected(cluster::ConnectionId connection, const std::string& reason) {
  Enqueue(message_seconds_, [this, connection, reason] { Lost(connection, reason); });
}

void Hub::Receive(cluster::ConnectionId connection, const cluster::Envelope& envelope) {
  const auto it = devices_.find(connection);
  if (it != devices_.end()) {
    // Who speaks is known from the connection, whatever the message says.
    const Address from{it->second, envelope.from.role};
    if (!cluster::OfDevice(from.role)) return;
    if (envelope.to.device != cluster::kCoordinatorDevice) {
      return Forward({from, envelope.to, envelope.message});
    }
    Deliver({from, envelope.to, envelope.message});
    DeliverLocal();
  } else if (const auto* hello = std::get_if<cluster::Hello>(&envelope.message)) {
    audience_.Tell(&Observer::OnDelivered, loop_->now(), envelope);
    Perform(cluster::Coordinator::kAddress, coordinator_.OnHello(loop_->now(), connection, *hello));
  }
}

// From one device to another. Neither of the machines here sends it: nobody is told.
void Hub::Forward(const cluster::Envelope& envelope) {
  const auto it = lines_.find(envelope.to.device);
  if (it == lines_.end() || !cluster::BetweenDevices(envelope.message)) return;
  Spend(costs_.Forward(envelope.message));
  AfterSpent(
      [this, connection = it->second, envelope] { network_->Send(this, connection, envelope); });
}

void Hub::Lost(cluster::ConnectionId connection, const std::string& reason) {
  const auto it = devices_.find(connection);
  if (it == devices_.end()) return;
  const cluster::DeviceId device = it->second;
  devices_.erase(it);
  const auto line = lines_.find(device);
  if (line == lines_.end() || line->second != connection) return;  // it came back by another one
  lines_.erase(line);
  if (store_) store_->Forget(device);
  Perform(cluster::Coordinator::kAddress,
          coordinator_.OnDisconnected(loop_->now(), device, reason));
}

void Hub::Deliver(const cluster::Envelope& envelope) {
  // What came over the network is in the trace already.
  if (envelope.from.device == cluster::kCoordinatorDevice) TraceMessage(loop_, 0, envelope);
  audience_.Tell(&Observer::OnDelivered, loop_->now(), envelope);
  if (envelope.to == cluster::Coordinator::kAddress) {
    Perform(envelope.to, coordinator_.Handle(loop_->now(), envelope.from, envelope.message));
  } else if (envelope.to == leader_->address()) {
    const cluster::Actions actions = leader_->Handle(loop_->now(), envelope.from, envelope.message);
    Spend(costs_.Apply(envelope.message, actions));
    Perform(envelope.to, actions);
  } else if (store_ && envelope.to == cluster::SampleStore::kAddress) {
    Perform(envelope.to, store_->Handle(loop_->now(), envelope.from, envelope.message));
  }
}

// Between the two machines of this process, as app/run_host.h has it: after what is being handled.
void Hub::DeliverLocal() {
  if (std::exchange(delivering_, true)) return;
  while (!local_.empty() && !crashed()) {
    const cluster::Envelope next = std::move(local_.front());
    local_.pop_front();
    Deliver(next);
  }
  delivering_ = false;
}

// ---- out

void Hub::Perform(Address from, const cluster::Actions& actions) {
  const size_t done = Survives(actions.size());
  for (size_t i = 0; i < done; ++i) {
    std::visit([&](const auto& a) { Do(from, a); }, actions[i]);
  }
  if (crashed()) return;
  DeliverLocal();
  Rest();
}

void Hub::Rest() {
  audience_.Tell(&Observer::OnHubRest, loop_->now(), coordinator_, *leader_);
  WakeAt(coordinator_.NextWake(), [this] {
    Enqueue(message_seconds_,
            [this] { Perform(cluster::Coordinator::kAddress, coordinator_.Tick(loop_->now())); });
  });
}

template <class Other>
void Hub::Do(Address, const Other&) {
  CHECK(false) << "an action that only a worker asks for";
}

void Hub::Transmit(cluster::ConnectionId connection, const cluster::Envelope& envelope) {
  Spend(costs_.Send(envelope.message));
  AfterSpent([this, connection, envelope] { network_->Send(this, connection, envelope); });
}

void Hub::Do(Address from, const cluster::Send& send) {
  const cluster::Envelope envelope{from, send.to, send.message};
  audience_.Tell(&Observer::OnSent, loop_->now(), envelope);
  if (send.to.device != cluster::kCoordinatorDevice) {
    const auto it = lines_.find(send.to.device);
    if (it != lines_.end()) Transmit(it->second, envelope);
  } else if (local_delay_.count() == 0) {
    local_.push_back(envelope);
  } else {
    // In order from each, late at will.
    TimePoint& lane = local_lanes_[from];
    const Duration late = RandomDuration(loop_->rng(), Duration(0), local_delay_);
    lane = std::max(lane + Duration(1), loop_->now() + late);
    After(lane - loop_->now(),
          [this, envelope] { Enqueue(0, [this, envelope] { Deliver(envelope); }); });
  }
}

void Hub::Do(Address from, const cluster::Reply& reply) {
  const cluster::Envelope envelope{from, {0, Role::kWorker}, reply.message};
  audience_.Tell(&Observer::OnSent, loop_->now(), envelope);
  Transmit(reply.connection, envelope);
}

void Hub::Do(Address, const cluster::Admit& admit) {
  devices_[admit.connection] = admit.device;
  lines_[admit.device] = admit.connection;
}

void Hub::Do(Address, const cluster::CloseConnection& close) {
  const auto it = devices_.find(close.connection);
  if (it != devices_.end()) {
    const auto line = lines_.find(it->second);
    if (line != lines_.end() && line->second == close.connection) lines_.erase(line);
    devices_.erase(it);
  }
  AfterSpent([this, connection = close.connection] { network_->Close(this, connection); });
}

void Hub::Do(Address, const cluster::Emit& emit) {
  audience_.Tell(&Observer::OnEvent, loop_->now(), emit.event);
  if (on_event_) on_event_(emit.event);
}

// Read on a thread of its own in the real process, in no time here. Devices compute by themselves,
// so it is only the network that must know how many bytes there would be (WireOptions).
void Hub::Do(Address, const cluster::ReadSamples& read) {
  After(Duration(0), [this, read] {
    const auto nothing = std::make_shared<const Bytes>();
    Enqueue(0, [this, read, nothing] {
      Perform(cluster::SampleStore::kAddress, store_->OnRead(loop_->now(), read, {}, nothing));
    });
  });
}

void Hub::Do(Address, const cluster::SaveCheckpoint& save) {
  writing_ = save.snapshot;
  StartWrite();
}

// On a thread of its own in the real process: nothing waits for it.
void Hub::StartWrite() {
  After(disk_write_time_, [this] {
    const auto snapshot = std::exchange(writing_, nullptr);
    const Result<std::string> path = disk_->Write(*snapshot);
    Enqueue(0, [this, step = snapshot->step, path] {
      Perform(leader_->address(),
              leader_->OnCheckpointDone(loop_->now(), step, path.ok() ? *path : std::string(),
                                        path.status()));
    });
  });
}

}  // namespace weft::sim
