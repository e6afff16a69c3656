#include "cluster/update_encoder.h"

#include <fmt/format.h>

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

std::span<float> UpdateEncoder::ResidualOf(const Range& range) {
  return std::span(residual_).subspan(static_cast<size_t>(range.begin),
                                      static_cast<size_t>(range.count));
}

Result<Payload> UpdateEncoder::Encode(uint64_t term, const Lease& lease, const Range& range,
                                      std::span<const float> gradient, int64_t version,
                                      std::span<float> velocity) {
  if (range.begin < 0 || range.count < 0 || range.begin > options_.size - range.count) {
    return base::InvalidArgument(fmt::format("range: got {}+{}, want within {} values", range.begin,
                                             range.count, options_.size));
  }
  if (gradient.size() != static_cast<size_t>(range.count)) {
    return base::InvalidArgument(
        fmt::format("gradient: got {} values, want {}", gradient.size(), range.count));
  }
  const codec::Place place{.begin = range.begin, .run = options_.run, .base = version};
  auto packet = std::make_shared<Bytes>();
  packet->reserve(codec_->MaxBytes(gradient.size()));
  if (residual_.empty()) {
    RETURN_IF_ERROR(
        codec_->Encode(place, gradient, {.residual = {}, .velocity = velocity}, packet.get()));
    return Payload(std::move(packet));
  }
  Settle(term, lease, range, false);  // if it is computed again, the first no longer counts
  Rescale(lease.count);
  const std::span<float> residual = ResidualOf(range);
  std::vector<float> carried(residual.begin(), residual.end());
  RETURN_IF_ERROR(
      codec_->Encode(place, gradient, {.residual = residual, .velocity = velocity}, packet.get()));
  packet->shrink_to_fit();
  const int64_t kept = std::clamp<int64_t>(options_.residual_size - range.begin, 0, range.count);
  std::fill(residual.begin() + kept, residual.end(), 0.0f);
  kernel::Axpy(-1.0f, residual, carried);
  if (range.count > 0) {
    in_flight_[{term, lease.id}].push_back({range.begin, lease.count, std::move(carried)});
  }
  return Payload(std::move(packet));
}

void UpdateEncoder::GiveBack(const InFlight& stretch) {
  const auto scale = static_cast<float>(stretch.samples) / static_cast<float>(residual_samples_);
  kernel::Axpy(scale, stretch.carried, ResidualOf({stretch.begin, stretch.end() - stretch.begin}));
}

void UpdateEncoder::Settle(uint64_t term, const Lease& lease, const Range& range, bool applied) {
  const auto it = in_flight_.find({term, lease.id});
  if (it == in_flight_.end()) return;
  std::vector<InFlight> left;
  const auto part = [](const InFlight& of, int64_t begin, int64_t end) {
    const auto from = of.carried.begin();
    return InFlight{begin, of.samples, {from + (begin - of.begin), from + (end - of.begin)}};
  };
  for (InFlight& stretch : it->second) {
    const int64_t begin = std::max(stretch.begin, range.begin);
    const int64_t end = std::min(stretch.end(), range.end());
    if (begin >= end) {
      left.push_back(std::move(stretch));
      continue;
    }
    if (stretch.begin < begin) left.push_back(part(stretch, stretch.begin, begin));
    if (end < stretch.end()) left.push_back(part(stretch, end, stretch.end()));
    if (!applied && !base::Planted("update_encoder.forgets_the_refused")) {
      GiveBack(part(stretch, begin, end));
    }
  }
  it->second = std::move(left);
  if (it->second.empty()) in_flight_.erase(it);
}

}  // namespace weft::cluster
