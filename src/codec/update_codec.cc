#include "codec/update_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "base/check.h"
#include "base/hash.h"
#include "base/rng.h"
#include "codec/low_rank.h"
#include "codec/packet.h"
#include "codec/pieces.h"
#include "codec/update_frame.h"
#include "codec/update_reader.h"
#include "codec/update_writer.h"

namespace weft::codec {
namespace {

enum class Method { kTop, kThreshold, kTernary, kLowRank };  // of large tensors

constexpr double kTopDensity = 64.0 / 4096;
constexpr double kThresholdDensity = 0.001;
constexpr int64_t kDefaultRank = 2;
// What of small tensors is sent, in densities of the others: they are few, their positions short.
constexpr double kSmallTensorGain = 64;
constexpr double kWarmupDensity = 0.25;
constexpr size_t kMostValues = std::numeric_limits<uint32_t>::max();

uint64_t HashOf(std::span<const Tensor> tensors) {
  uint64_t hash = 0;
  for (const Tensor& tensor : tensors) {
    for (const int64_t part : {tensor.begin, tensor.count, tensor.rows, int64_t{tensor.trained}}) {
      hash = base::DeriveSeed(hash, static_cast<uint64_t>(part));
    }
  }
  return hash;
}

// Whether all sums are: the largest magnitude tells.
bool AllFinite(std::span<const float> values, std::span<const float> residual) {
  uint32_t largest = 0;
  const auto note = [&](float value) {
    largest = std::max(largest, std::bit_cast<uint32_t>(value) & 0x7FFFFFFFu);
  };
  if (residual.empty()) {
    for (const float value : values) note(value);
  } else {
    for (size_t i = 0; i < values.size(); ++i) note(values[i] + residual[i]);
  }
  return largest < 0x7F800000u;
}

// Statistics are sums of nothing: what rounding leaves of them is not sent later.
ValueKind StatisticsKind(const Target& target, double density) {
  const bool lossless = density >= 1 && target.values == ValueKind::kFloat32;
  return lossless ? ValueKind::kFloat32 : ValueKind::kFloat16;
}

class UpdateCodec : public Codec {
 public:
  UpdateCodec(const CodecOptions& options, Method method, const Target& target, bool aims)
      : options_(options),
        method_(method),
        target_(target),
        rank_(static_cast<size_t>(options.rank > 0 ? options.rank : kDefaultRank)),
        aims_(aims),
        lossless_(!aims && target == Target()),
        tensors_hash_(HashOf(options.tensors)),
        scratch_(std::make_unique<WriterScratch>()) {}

  std::string name() const override { return options_.name; }
  bool lossy() const override { return !lossless_; }

  size_t MaxBytes(size_t n) const override {
    const size_t pieces = std::min(n, options_.tensors.size() + 1);
    const size_t chunks = n / kMaxSpan + pieces;
    // Each value as f32 with a bit of its own; a header of the positions and a scale a chunk.
    return kMostHeaderBytes + n * sizeof(float) + n / 8 + chunks * 8;
  }

  void Aim(const Target& target) override {
    if (aims_) target_ = target;
  }

  Status Encode(const Place& place, std::span<const float> values, const Carry& carry,
                Bytes* packet) override {
    RETURN_IF_ERROR(CheckResidual(values.size(), carry.residual.size()));
    RETURN_IF_ERROR(CheckResidual(values.size(), carry.velocity.size()));
    const PieceWalk pieces(options_.tensors, place.begin, values.size());
    RETURN_IF_ERROR(CheckPlace(pieces, values.size()));
    if (!AllFinite(values, carry.residual)) {
      return InvalidArgument("update: got a value that is not finite");
    }
    const size_t begin = packet->size();
    PutHeader(HeaderOf(place, values.size()), packet);
    UpdateWriter writer(&pieces, values, carry, scratch_.get(), packet);
    RETURN_IF_ERROR(Write(place, &writer));
    SealPacket(begin, packet);
    return OkStatus();
  }

  Status Decode(const Place& place, ByteView packet, std::span<float> values) const override {
    const PieceWalk pieces(options_.tensors, place.begin, values.size());
    ASSIGN_OR_RETURN(const ByteView body, BodyOf(place, packet, pieces, values.size()));
    std::fill(values.begin(), values.end(), 0.0f);
    return ReadUpdate(pieces, body, {.mode = ValueSink::Mode::kWrite, .values = values});
  }

  Status Add(const Place& place, ByteView packet, float weight,
             std::span<float> sum) const override {
    const PieceWalk pieces(options_.tensors, place.begin, sum.size());
    ASSIGN_OR_RETURN(const ByteView body, BodyOf(place, packet, pieces, sum.size()));
    RETURN_IF_ERROR(ReadUpdate(pieces, body, {.mode = ValueSink::Mode::kCheck}));
    return ReadUpdate(pieces, body,
                      {.mode = ValueSink::Mode::kAdd, .values = sum, .weight = weight});
  }

 private:
  Status CheckPlace(const PieceWalk& pieces, size_t count) const {
    if (pieces.Covers() && count <= kMostValues) return OkStatus();
    return InvalidArgument(fmt::format("update: {} values are not within the tensors", count));
  }

  UpdateHeader HeaderOf(const Place& place, size_t count) const {
    const uint64_t identity = base::DeriveSeed(place.run, tensors_hash_);
    return {.count = count,
            .begin = place.begin,
            .base = place.base,
            .identity = static_cast<uint32_t>(identity)};
  }

  // What stands behind the header, if that is right.
  Result<ByteView> BodyOf(const Place& place, ByteView packet, const PieceWalk& pieces,
                          size_t count) const {
    RETURN_IF_ERROR(CheckPlace(pieces, count));
    ASSIGN_OR_RETURN(const ByteView rest, OpenFrame(CodecId::kUpdate, packet));
    base::ByteReader in(rest);
    RETURN_IF_ERROR(CheckHeader(HeaderOf(place, count), &in));
    return rest.subspan(in.position());
  }

  // Falls from a quarter to the target's in equal steps of its logarithm.
  // Source: Lin et al. 2018, section 3.3, "warm-up training".
  double DensityAt(int64_t base) const {
    const double end = target_.density;
    if (base >= options_.warmup || end >= kWarmupDensity) return end;
    const double part = static_cast<double>(base) / static_cast<double>(options_.warmup);
    return kWarmupDensity * std::pow(end / kWarmupDensity, std::max(part, 0.0));
  }

  Status Write(const Place& place, UpdateWriter* writer) {
    const double density = DensityAt(place.base);
    Form form{.layout = Layout::kSparse, .kind = target_.values};
    if (options_.flush > 0) {
      form.turns = static_cast<uint64_t>(options_.flush);
      form.turn = encodes_[place.begin]++ % form.turns;
    }
    RETURN_IF_ERROR(WriteLarge(place, form, density, writer));
    RETURN_IF_ERROR(WriteSmall(form, std::min(1.0, kSmallTensorGain * density), writer));
    return writer->Whole(TensorClass::kStatistics, {.kind = StatisticsKind(target_, density)});
  }

  Status WriteLarge(const Place& place, Form form, double density, UpdateWriter* writer) {
    const TensorClass which = TensorClass::kLarge;
    if (method_ == Method::kLowRank) return writer->LowRank(which, rank_, &factors_);
    if (method_ == Method::kTernary) {
      form.layout = Layout::kTernary;
      return writer->Ternary(which, form);
    }
    if (density >= 1) return writer->Whole(which, {.kind = target_.values});
    if (method_ == Method::kThreshold) {
      SelectAboveQuantile selector(density, place.begin, &thresholds_, scratch_->group.sent);
      return writer->Sparse(which, form, &selector);
    }
    SelectChunkTop selector(density, &scratch_->top);
    return writer->Sparse(which, form, &selector);
  }

  Status WriteSmall(Form form, double density, UpdateWriter* writer) {
    const TensorClass which = TensorClass::kSmall;
    if (density >= 1) {
      // Kinds are in the order of their bits.
      return writer->Whole(which, {.kind = std::min(target_.values, ValueKind::kInt8)});
    }
    form.joined = true;
    SelectChunkTop selector(density, &scratch_->top);
    return writer->Sparse(which, form, &selector);
  }

  CodecOptions options_;
  Method method_;
  Target target_;
  size_t rank_;
  bool aims_;
  bool lossless_;
  uint64_t tensors_hash_;
  std::unique_ptr<WriterScratch> scratch_;
  // What lasts from one update to the next, by where a range or a piece begins.
  std::map<int64_t, uint64_t> encodes_;  // of the range
  SelectAboveQuantile::Thresholds thresholds_;
  std::map<int64_t, std::vector<float>> factors_;
};

// What a codec does by itself. Selected values become int2: on heavy-tailed noise with a mean,
// after 120 updates the residual is within 3 % of what fp16 leaves at the same density, for 46 to
// 58 % of the bytes, at densities from 0.001 to 0.006.
struct Defaults {
  const char* name;
  Method method;
  Target target;
  bool selects;  // density, values and warmup mean something
  bool aims;
};

constexpr Defaults kCodecs[] = {
    {"int8", Method::kTop, {1, ValueKind::kInt8}, false, false},
    {"3lc", Method::kTernary, {1, ValueKind::kTernary}, false, false},
    {"chunk-topk", Method::kTop, {kTopDensity, ValueKind::kInt2}, true, false},
    {"dgc", Method::kThreshold, {kThresholdDensity, ValueKind::kInt2}, true, false},
    {"powersgd", Method::kLowRank, {1, ValueKind::kFloat16}, false, false},
    {"auto", Method::kTop, {1, ValueKind::kFloat32}, true, true},
};

const Defaults* DefaultsOf(const std::string& name) {
  for (const Defaults& codec : kCodecs) {
    if (name == codec.name) return &codec;
  }
  return nullptr;
}

Status CheckOptions(const CodecOptions& options, const Defaults& codec) {
  const auto check = [&](bool right, const char* what, auto got, const std::string& want) {
    if (right) return OkStatus();
    return InvalidArgument(
        fmt::format("codec \"{}\", {}: got {}, want {}", options.name, what, got, want));
  };
  const bool low_rank = codec.method == Method::kLowRank;
  const int64_t most_rank = low_rank ? int64_t{kMostRank} : 0;
  if (!codec.selects) {
    RETURN_IF_ERROR(check(options.density == 0, "density", options.density, "none"));
    RETURN_IF_ERROR(check(options.warmup == 0, "warmup", options.warmup, "none"));
    RETURN_IF_ERROR(check(options.values.empty(), "values", options.values, "none"));
  }
  if (low_rank) RETURN_IF_ERROR(check(options.flush == 0, "flush", options.flush, "none"));
  RETURN_IF_ERROR(
      check(options.density >= 0 && options.density <= 1, "density", options.density, "0 to 1"));
  RETURN_IF_ERROR(check(options.warmup >= 0, "warmup", options.warmup, "0 or more"));
  RETURN_IF_ERROR(check(options.flush >= 0, "flush", options.flush, "0 or more"));
  RETURN_IF_ERROR(check(options.rank >= 0 && options.rank <= most_rank, "rank", options.rank,
                        fmt::format("0 to {}", most_rank)));
  return CheckTensors(options.tensors);
}

}  // namespace

bool IsUpdateCodec(const std::string& name) { return DefaultsOf(name) != nullptr; }

Result<std::unique_ptr<Codec>> MakeUpdateCodec(const CodecOptions& options) {
  const Defaults* codec = DefaultsOf(options.name);
  CHECK(codec != nullptr) << options.name;
  RETURN_IF_ERROR(CheckOptions(options, *codec));
  Target target = codec->target;
  if (options.density > 0) target.density = options.density;
  if (!options.values.empty()) {
    ASSIGN_OR_RETURN(target.values, ParseValueKind(options.values));
  }
  return std::unique_ptr<Codec>(
      std::make_unique<UpdateCodec>(options, codec->method, target, codec->aims));
}

}  // namespace weft::codec
