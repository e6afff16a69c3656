#include "cluster/update_encoder.h"

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "kernel/update.h"

namespace weft::cluster {

UpdateEncoder::UpdateEncoder(std::unique_ptr<codec::Codec> codec, const Options& options)
    : codec_(std::move(codec)), options_(options) {
  CHECK_LE(options_.residual_size, options_.size);
  if (codec_->lossy() && options_.residual_size > 0) {
    residual_.resize(static_cast<size_t>(options_.size));
  }
}

// A mean over twice as many samples weighs twice as much in its step.
void UpdateEncoder::Rescale(int64_t samples) {
  if (residual_samples_ != samples && residual_samples_ != 0) {
    kernel::Scale(static_cast<float>(residual_samples_) / static_cast<float>(samples), residual_);
  }
  residual_samples_ = samples;
}

Result<Payload> UpdateEncoder::Encode(uint64_t term, const Lease& lease,
                                      std::span<const float> gradient) {
  if (gradient.size() != static_cast<size_t>(options_.size)) {
    return base::InvalidArgument("gradient: got " + std::to_string(gradient.size()) +
                                 " values, want " + std::to_string(options_.size));
  }
  auto packet = std::make_shared<Bytes>();
  packet->reserve(codec_->MaxBytes(gradient.size()));
  if (residual_.empty()) {
    RETURN_IF_ERROR(codec_->Encode(gradient, {}, packet.get()));
    return Payload(std::move(packet));
  }
  Settle(term, lease, false);  // if it is computed a second time, the first no longer counts
  Rescale(lease.count);
  std::vector<float> carried = residual_;
  RETURN_IF_ERROR(codec_->Encode(gradient, residual_, packet.get()));
  std::fill(residual_.begin() + options_.residual_size, residual_.end(), 0.0f);
  kernel::Axpy(-1.0f, residual_, carried);
  in_flight_[{term, lease.id}] = {lease.count, std::move(carried)};
  return Payload(std::move(packet));
}

void UpdateEncoder::Settle(uint64_t term, const Lease& lease, bool applied) {
  const auto it = in_flight_.find({term, lease.id});
  if (it == in_flight_.end()) return;
  if (!applied && !base::Planted("update_encoder.forgets_the_refused")) {
    const auto scale =
        static_cast<float>(it->second.samples) / static_cast<float>(residual_samples_);
    kernel::Axpy(scale, it->second.carried, residual_);
  }
  in_flight_.erase(it);
}

}  // namespace weft::cluster
