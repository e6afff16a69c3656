#include "cluster/delta_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/check.h"
#include "codec/dense.h"
#include "kernel/update.h"

namespace weft::cluster {
namespace {

constexpr size_t kHeadBytes = 2 * sizeof(uint32_t);

// The next delta of those that are left. Errors: kDataLoss.
Status GetDelta(base::ByteReader* in, uint32_t* versions, ByteView* packet) {
  uint32_t bytes = 0;
  RETURN_IF_ERROR(in->Get(&bytes));
  RETURN_IF_ERROR(in->Get(versions));
  return in->GetRaw(bytes, packet);
}

}  // namespace

Result<std::unique_ptr<codec::Codec>> MakeWholeCodec(const codec::CodecOptions& down) {
  ASSIGN_OR_RETURN(auto codec, codec::MakeCodec(down));
  if (codec::SendsDifferences(down)) return codec::MakeDense();
  return codec;
}

DeltaLog::DeltaLog(std::unique_ptr<codec::Codec> codec, const Options& options, int64_t version,
                   std::span<const float> parameters)
    : codec_(std::move(codec)),
      options_(options),
      version_(version),
      held_(parameters.begin(), parameters.end()) {}

void DeltaLog::CatchUp(int64_t version, std::span<const float> parameters,
                       std::span<float> scratch) {
  if (version == version_) return;
  CHECK_LT(version_, version);
  CHECK_EQ(parameters.size(), held_.size());
  CHECK_EQ(scratch.size(), held_.size());
  for (size_t i = 0; i < held_.size(); ++i) scratch[i] = parameters[i] - held_[i];
  if (Payload packet = Encode(version - version_, scratch)) {
    kernel::Axpy(1.0f, scratch, held_);
    Keep({version_, std::move(packet)});
  } else {
    std::ranges::copy(parameters, held_.begin());
    Forget();
  }
  version_ = version;
  joined_ = nullptr;
}

Payload DeltaLog::Encode(int64_t versions, std::span<float> difference) const {
  const codec::Place place{.begin = options_.range.begin, .run = options_.run, .base = version_};
  auto delta = std::make_shared<Bytes>(kHeadBytes);
  const bool encoded = codec_->Encode(place, difference, {}, delta.get()).ok();
  const size_t most = std::min<size_t>(options_.whole_bytes, std::numeric_limits<uint32_t>::max());
  if (!encoded || delta->size() >= most || versions > std::numeric_limits<uint32_t>::max()) {
    return nullptr;
  }
  const auto bytes = static_cast<uint32_t>(delta->size() - kHeadBytes);
  const auto steps = static_cast<uint32_t>(versions);
  std::memcpy(delta->data(), &bytes, sizeof(bytes));
  std::memcpy(delta->data() + sizeof(bytes), &steps, sizeof(steps));
  CHECK(codec_->Decode(place, ByteView(*delta).subspan(kHeadBytes), difference).ok());
  return delta;
}

void DeltaLog::Keep(Delta delta) {
  bytes_ += delta.packet->size();
  deltas_.push_back(std::move(delta));
  while (bytes_ >= options_.whole_bytes || deltas_.size() > kMostDeltas) {
    bytes_ -= deltas_.front().packet->size();
    deltas_.pop_front();
  }
}

void DeltaLog::Forget() {
  deltas_.clear();
  bytes_ = 0;
}

std::optional<Payload> DeltaLog::Since(int64_t base) {
  if (base == version_) return Payload();
  const auto first = std::ranges::lower_bound(deltas_, base, {}, &Delta::base);
  if (first == deltas_.end() || first->base != base) return std::nullopt;
  if (std::next(first) == deltas_.end()) return first->packet;
  if (joined_ != nullptr && joined_since_ == base) return joined_;
  auto joined = std::make_shared<Bytes>();
  base::ByteWriter out(joined.get());
  for (auto delta = first; delta != deltas_.end(); ++delta) out.PutRaw(*delta->packet);
  joined_since_ = base;
  return joined_ = std::move(joined);
}

Status AddDeltas(const codec::Codec& codec, const codec::Place& from, int64_t version,
                 ByteView deltas, std::span<float> values, std::span<float> scratch) {
  if (from.base < 0 || version < from.base) {
    return base::DataLoss(fmt::format("deltas: got version {} from {}", version, from.base));
  }
  base::ByteReader in(deltas);
  codec::Place place = from;
  for (size_t count = 0; in.remaining() > 0; ++count) {
    uint32_t versions = 0;
    ByteView packet;
    RETURN_IF_ERROR(GetDelta(&in, &versions, &packet));
    if (versions == 0 || versions > version - place.base || count == DeltaLog::kMostDeltas) {
      return base::DataLoss(
          fmt::format("deltas: got {} versions on from {} after {}, want up to {}", versions,
                      place.base, count, version));
    }
    RETURN_IF_ERROR(codec.Decode(place, packet, scratch));
    kernel::Axpy(1.0f, scratch, values);
    place.base += versions;
  }
  if (place.base == version) return OkStatus();
  return base::DataLoss(fmt::format("deltas: got version {}, want {}", place.base, version));
}

int64_t CountDeltas(ByteView deltas) {
  base::ByteReader in(deltas);
  int64_t count = 0;
  uint32_t versions = 0;
  ByteView packet;
  while (in.remaining() > 0 && GetDelta(&in, &versions, &packet).ok()) ++count;
  return count;
}

}  // namespace weft::cluster
