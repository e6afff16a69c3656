#include "sim/hub.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "sim/trace.h"

namespace weft::sim {

using cluster::Address;
using cluster::Role;

namespace {

// Between the two machines of the process.
constexpr Duration kLocalLeast = std::chrono::microseconds(100);
constexpr Duration kLocalMost = std::chrono::milliseconds(5);

}  // namespace

Hub::Hub(const Options& options, const cluster::JobSpec& spec)
    : Process(options.loop, options.network),
      disk_(options.disk),
      on_event_(options.on_event),
      coordinator_(spec, disk_->store.get(), disk_->checkpoint.step),
      leader_(cluster::Leader::Make(spec, disk_->checkpoint).value()) {}

void Hub::Start() {
  network_->set_hub(this);
  Perform(cluster::Coordinator::kAddress, coordinator_.Start(loop_->now()));
}

// ---- in

void Hub::OnMessage(cluster::ConnectionId connection, const cluster::Envelope& envelope) {
  const cluster::DeviceId device = devices_[connection];
  if (device != 0) {
    Deliver({{device, Role::kWorker}, envelope.to, envelope.message});
  } else if (const auto* hello = std::get_if<cluster::Hello>(&envelope.message)) {
    Perform(cluster::Coordinator::kAddress, coordinator_.OnHello(loop_->now(), connection, *hello));
  }
}

void Hub::OnDisconnected(cluster::ConnectionId connection, const std::string& reason) {
  const auto it = devices_.find(connection);
  if (it == devices_.end()) return;
  const cluster::DeviceId device = it->second;
  devices_.erase(it);
  if (device == 0) return;
  lines_.erase(device);
  loop_->Trace(fmt::format("worker {} lost: {}", device, reason));
  Perform(cluster::Coordinator::kAddress,
          coordinator_.OnDisconnected(loop_->now(), device, reason));
}

void Hub::Deliver(const cluster::Envelope& envelope) {
  if (envelope.to == cluster::Coordinator::kAddress) {
    Perform(envelope.to, coordinator_.Handle(loop_->now(), envelope.from, envelope.message));
  } else if (envelope.to == leader_->address()) {
    Perform(envelope.to, leader_->Handle(loop_->now(), envelope.from, envelope.message));
  }
}

// ---- out

void Hub::Perform(Address from, const cluster::Actions& actions) {
  for (const cluster::Action& action : actions) {
    std::visit([&](const auto& a) { Do(from, a); }, action);
  }
  WakeAt(coordinator_.NextWake(),
         [this] { Perform(cluster::Coordinator::kAddress, coordinator_.Tick(loop_->now())); });
}

template <class Other>
void Hub::Do(Address, const Other&) {
  CHECK(false) << "an action that only a worker asks for";
}

void Hub::Do(Address from, const cluster::Send& send) { Route({from, send.to, send.message}); }

void Hub::Route(const cluster::Envelope& envelope) {
  if (envelope.to.device != cluster::kCoordinatorDevice) {
    const auto it = lines_.find(envelope.to.device);
    if (it != lines_.end()) network_->Send(this, it->second, envelope);
    return;
  }
  // Between the two machines of this process: in order from each, late at will.
  TimePoint& lane = local_[envelope.from];
  lane = std::max(lane + Duration(1),
                  loop_->now() + RandomDuration(loop_->rng(), kLocalLeast, kLocalMost));
  After(lane - loop_->now(), [this, envelope] {
    TraceMessage(loop_, 0, envelope);
    Deliver(envelope);
  });
}

void Hub::Do(Address from, const cluster::Reply& reply) {
  network_->Send(this, reply.connection, {from, {0, Role::kWorker}, reply.message});
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
  network_->Close(this, close.connection);
}

void Hub::Do(Address, const cluster::Emit& emit) {
  if (on_event_) on_event_(emit.event);
}

void Hub::Do(Address, const cluster::SaveCheckpoint& save) {
  After(disk_->write_time, [this, snapshot = save.snapshot] { Write(snapshot); });
}

void Hub::Write(const std::shared_ptr<const cluster::Snapshot>& snapshot) {
  const bool failed = loop_->rng().NextUniform() < disk_->failure;
  if (!failed) disk_->checkpoint = *snapshot;
  const Status status = failed ? base::ResourceExhausted("disk full") : OkStatus();
  Perform(leader_->address(),
          leader_->OnCheckpointDone(loop_->now(), snapshot->step, "disk", status));
}

}  // namespace weft::sim
