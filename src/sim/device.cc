#include "sim/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "cluster/describe.h"

namespace weft::sim {
namespace {

cluster::UpdateEncoder::Options EncoderOptions(const cluster::JobSpec& spec) {
  return {.size = spec.parameter_count(),
          .residual_size = spec.deterministic ? 0 : spec.trainable_count};
}

}  // namespace

SimDevice::SimDevice(const Options& options, const cluster::JobSpec& spec)
    : Process(options.process),
      options_(options),
      parameter_count_(spec.parameter_count()),
      down_(codec::MakeCodec(spec.codec_down).value()),
      encoder_(codec::MakeCodec(spec.codec_up).value(), EncoderOptions(spec)),
      worker_(options.worker) {}

SimDevice::~SimDevice() { End(); }

void SimDevice::End() {
  if (std::exchange(ended_, true)) return;
  audience_.Tell(&Observer::OnActivity, loop_->now(), options_.number, Activity::kOff);
  audience_.Tell(&Observer::OnDeviceDown, loop_->now(), options_.number);
}

void SimDevice::Start() {
  audience_.Tell(&Observer::OnDeviceUp, loop_->now(), options_.number, options_.worker.incarnation);
  audience_.Tell(&Observer::OnActivity, loop_->now(), options_.number, Activity::kIdle);
  const TimePoint begin = options_.tempo->Finish(loop_->now(), options_.box->start_seconds);
  if (begin == loop_->now()) return Perform(worker_.Start(begin));
  After(begin - loop_->now(), [this] {
    if (!ended_) Perform(worker_.Start(loop_->now()));
  });
}

void SimDevice::Leave(const std::string& reason) { Perform(worker_.Leave(loop_->now(), reason)); }

void SimDevice::OnConnected(cluster::ConnectionId connection) {
  if (connection_ == connection && !crashed()) Perform(worker_.OnConnected(loop_->now()));
}

void SimDevice::OnMessage(cluster::ConnectionId connection, const cluster::Envelope& envelope) {
  if (connection_ != connection || crashed()) return;
  audience_.Tell(&Observer::OnDelivered, loop_->now(), envelope);
  Perform(worker_.Handle(loop_->now(), envelope.from, envelope.message));
}

void SimDevice::OnDisconnected(cluster::ConnectionId connection, const std::string& reason) {
  if (connection_ != connection || crashed()) return;
  connection_.reset();
  Perform(worker_.OnDisconnected(loop_->now(), reason));
}

void SimDevice::Perform(const cluster::Actions& actions) {
  const size_t done = Survives(actions.size());
  for (size_t i = 0; i < done; ++i) {
    std::visit([&](const auto& a) { Do(a); }, actions[i]);
  }
  if (crashed()) return;
  audience_.Tell(&Observer::OnDeviceRest, loop_->now(), options_.number, worker_);
  WakeAt(worker_.NextWake(), [this] { Perform(worker_.Tick(loop_->now())); });
}

template <class Other>
void SimDevice::Do(const Other&) {
  CHECK(false) << "an action that only a coordinator or leader asks for";
}

void SimDevice::Do(const cluster::Send& send) {
  const cluster::Envelope envelope{worker_.address(), send.to, send.message};
  audience_.Tell(&Observer::OnSent, loop_->now(), envelope);
  if (connection_) network_->Send(this, *connection_, envelope);
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
    // Which samples these are does not matter to what a device computes here, only that each is one.
    cluster::SampleCacheOptions cache{.budget_bytes = options_.worker.storage_bytes,
                                      .sample_bytes = options_.fed.sample_bytes,
                                      .indices = {}};
    cache.indices = [order = options_.fed.order](const cluster::Lease& lease) {
      return order.Indices({lease.epoch, lease.begin, lease.count});
    };
    worker_.UseStore(std::move(cache));
  }
  ready_ = options_.tempo->Finish(std::max(ready_, loop_->now()), options_.box->open_seconds);
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
  if (options_.on_stopped) After(Duration(0), options_.on_stopped);
}

Status SimDevice::Obstacle(const cluster::Lease& lease) const {
  if (options_.troubles.unreadable_data) return base::NotFound("no data here");
  const auto has = static_cast<double>(options_.box->memory_bytes);
  const double takes = options_.box->step_bytes.At(lease.count);
  if (has == 0 || takes <= has) return OkStatus();
  return base::ResourceExhausted(
      fmt::format("{} samples take {:.0f} MiB, the device has {:.0f} MiB", lease.count,
                  takes / 0x1p20, has / 0x1p20));
}

void SimDevice::Do(const cluster::Compute& compute) {
  if (const Status obstacle = Obstacle(compute.lease); !obstacle.ok()) {
    return After(Duration(0),
                 [this, obstacle] { Perform(worker_.OnCannotCompute(loop_->now(), obstacle)); });
  }
  audience_.Tell(&Observer::OnActivity, loop_->now(), options_.number, Activity::kCompute);
  const DeviceOptions& box = *options_.box;
  const double luck =
      box.spread > 0 ? loop_->rng().NextUniform(1 - box.spread, 1 + box.spread) : 1.0;
  const double warmup = std::exchange(warm_, true) ? 0 : box.warmup_seconds;
  const double seconds =
      warmup + luck * (box.lease_seconds + box.step_seconds.At(compute.lease.count));
  const TimePoint begin = std::max(ready_, loop_->now());
  const TimePoint done = options_.tempo->Finish(begin, seconds);
  After(done - loop_->now(), [this, compute, took = done - begin] { Finish(compute, took); });
}

void SimDevice::Finish(const cluster::Compute& compute, Duration took) {
  const TimePoint now = loop_->now();
  if (!ended_) audience_.Tell(&Observer::OnActivity, now, options_.number, Activity::kIdle);
  if (compute.lease.step == options_.troubles.nan_at_step) {
    return Perform(
        worker_.OnFault(now, {Code::kFailedPrecondition, "the loss is not finite (NaN)"}));
  }
  std::vector<float> parameters(static_cast<size_t>(parameter_count_));
  const auto part = [](auto& values, const cluster::Range& range) {
    return std::span(values).subspan(static_cast<size_t>(range.begin),
                                     static_cast<size_t>(range.count));
  };
  for (const cluster::Piece& piece : compute.pieces) {
    CHECK(down_->Decode(*piece.values, part(parameters, piece.range)).ok());
  }
  const auto computed = options_.workload->Compute(parameters, compute.lease);
  if (!computed.ok()) return Perform(worker_.OnFault(now, computed.status()));
  cluster::Worker::Update update;
  update.loss_sum = computed->loss_sum;
  update.correct = computed->correct;
  for (const cluster::Range& range : compute.ranges) {
    const std::span<const float> gradient = part(computed->gradient, range);
    update.parts.emplace_back(
        range, encoder_.Encode(compute.term, compute.lease, range, gradient).value());
  }
  const double seconds =
      options_.box->step_seconds.At(compute.lease.count) / options_.tempo->SpeedAt(now);
  if (seconds > 0) {
    update.samples_per_second = static_cast<double>(compute.lease.count) / seconds;
  }
  CHECK_EQ(update.parts.size(), 1u) << "observers look at whole updates";
  update.seconds = base::Seconds(took);
  audience_.Tell(&Observer::OnComputed, now, options_.number, compute,
                 std::span<const float>(computed->gradient), update.parts[0].gradient, encoder_);
  Perform(worker_.OnComputed(now, update));
}

}  // namespace weft::sim
