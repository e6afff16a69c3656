// Coordinator: sync or async, where the job leaves it to weft. A change takes effect between steps,
// or once the stream has settled.

#include "cluster/coordinator.h"

namespace weft::cluster {

namespace {

std::string NameOf(aggregate::Mode mode) {
  return mode == aggregate::Mode::kSync ? "sync" : "async";
}

}  // namespace

// A step, or about as many samples of a stream, is committed.
void Coordinator::ChooseMode(const StepDone& done) {
  if (!chooser_) return;
  chooser_->OnCommitted(now_, done.parts, done.loss, epoch_ * spec_.samples + sums_.samples);
  std::vector<ModeChooser::KnownDevice> devices;
  for (const auto& [id, device] : devices_.living()) {
    devices.push_back({id, device.name, PaceOf(device), ExchangeSeconds(device.stats)});
  }
  const int64_t left = (spec_.epochs - epoch_) * spec_.samples - sums_.samples;
  const auto answer =
      chooser_->Evaluate(devices, PredictCommunication(), std::max<int64_t>(left, 0));
  if (!answer || !answer->switched) return;
  next_mode_ = answer->mode;
  mode_reason_ = answer->why;
  if (phase_ == Phase::kStreaming) settling_ = true;
}

// An update out, parameters in; a link that is not measured counts as free.
double Coordinator::ExchangeSeconds(const DeviceStats& stats) const {
  const auto values = static_cast<double>(spec_.parameter_count());
  const auto seconds = [&](const codec::CodecOptions& codec, double rate) {
    return rate > 0 ? values * BytesAsSent(codec) / rate : 0;
  };
  return stats.round_trip_seconds + seconds(spec_.codec_up, stats.up_bytes_per_second) +
         seconds(spec_.codec_down, stats.down_bytes_per_second);
}

RoundTimes::Communication Coordinator::PredictCommunication() const {
  std::vector<plan::LinkedDevice> devices;
  plan::LeaderInput input = LinksOf(&devices);
  const std::vector<plan::LedRange> ranges = Held();
  RoundTimes::Communication communication;
  communication.sync_s = plan::PredictCommunication(input, ranges);
  input.overlapped = true;
  communication.async_s = plan::PredictCommunication(input, ranges);
  return communication;
}

// Nothing is under way.
void Coordinator::TakeMode() {
  if (chooser_) chooser_->GoOn(now_);
  if (!next_mode_ || !carried_.empty()) return;
  mode_ = *std::exchange(next_mode_, std::nullopt);
  Emit(ModeChanged{NameOf(mode_), mode_reason_});
}

}  // namespace weft::cluster
