#include "sim/device.h"

#include <limits>

#include "base/check.h"

namespace weft::sim {
namespace {

cluster::UpdateEncoder::Options EncoderOptions(const cluster::JobSpec& spec) {
  return {.size = spec.parameter_count(),
          .residual_size = spec.deterministic ? 0 : spec.trainable_count};
}

}  // namespace

SimDevice::SimDevice(const Options& options, const cluster::JobSpec& spec)
    : Process(options.loop, options.network),
      options_(options),
      spec_(spec),
      down_(codec::MakeCodec(spec.codec_down).value()),
      encoder_(codec::MakeCodec(spec.codec_up).value(), EncoderOptions(spec)),
      worker_(options.worker) {}

void SimDevice::Start() { Perform(worker_.Start(loop_->now())); }

void SimDevice::Leave(const std::string& reason) { Perform(worker_.Leave(loop_->now(), reason)); }

void SimDevice::OnConnected(cluster::ConnectionId connection) {
  if (connection_ == connection) Perform(worker_.OnConnected(loop_->now()));
}

void SimDevice::OnMessage(cluster::ConnectionId connection, const cluster::Envelope& envelope) {
  if (connection_ != connection) return;
  Perform(worker_.Handle(loop_->now(), envelope.from, envelope.message));
}

void SimDevice::OnDisconnected(cluster::ConnectionId connection, const std::string& reason) {
  if (connection_ != connection) return;
  connection_.reset();
  Perform(worker_.OnDisconnected(loop_->now(), reason));
}

void SimDevice::Perform(const cluster::Actions& actions) {
  for (const cluster::Action& action : actions) {
    std::visit([&](const auto& a) { Do(a); }, action);
  }
  WakeAt(worker_.NextWake(), [this] { Perform(worker_.Tick(loop_->now())); });
}

template <class Other>
void SimDevice::Do(const Other&) {
  CHECK(false) << "an action that only a coordinator or leader asks for";
}

void SimDevice::Do(const cluster::Send& send) {
  if (connection_) network_->Send(this, *connection_, {worker_.address(), send.to, send.message});
}

void SimDevice::Do(const cluster::Connect&) {
  Do(cluster::Disconnect{});
  connection_ = network_->Dial(this, options_.host);
}

void SimDevice::Do(const cluster::Disconnect&) {
  if (connection_) network_->Close(this, *connection_);
  connection_.reset();
}

void SimDevice::Do(const cluster::Settled& settled) {
  encoder_.Settle(settled.term, settled.lease, settled.applied);
}

void SimDevice::Do(const cluster::Emit& emit) {
  if (options_.on_event) options_.on_event(emit.event);
}

void SimDevice::Do(const cluster::Compute& compute) {
  const double jitter = loop_->rng().NextUniform(0.8, 1.2);
  const double ns = jitter * static_cast<double>(options_.per_sample.count() * compute.lease.count);
  After(Duration(static_cast<int64_t>(ns)), [this, compute] { Finish(compute); });
}

void SimDevice::Finish(const cluster::Compute& compute) {
  if (options_.unreadable_data) {
    return Perform(worker_.OnCannotCompute(loop_->now(), base::NotFound("no data here")));
  }
  if (compute.lease.step == options_.nan_at_step) {
    return Perform(
        worker_.OnFault(loop_->now(), {Code::kFailedPrecondition, "the loss is not finite (NaN)"}));
  }
  std::vector<float> parameters(static_cast<size_t>(spec_.parameter_count()));
  CHECK(down_->Decode(*compute.parameters, parameters).ok());
  const ToyResult result = ComputeToy(parameters, spec_.samples, compute.lease);
  cluster::Worker::Update update;
  update.loss_sum = result.loss_sum;
  update.correct = result.correct;
  update.gradient = encoder_.Encode(compute.term, compute.lease, result.gradient).value();
  update.samples_per_second = 1e9 / static_cast<double>(options_.per_sample.count());
  Perform(worker_.OnComputed(loop_->now(), update));
}

}  // namespace weft::sim
