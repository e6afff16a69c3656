#include "cluster/range_state.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/hash.h"

namespace weft::cluster {
namespace {

constexpr size_t kChecksumBytes = 4;
constexpr size_t kHeaderBytes = 24;

void PutFloats(std::span<const float> values, base::ByteWriter* out) {
  out->PutRaw({reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
}

Status GetFloats(base::ByteReader* in, std::vector<float>* values) {
  ByteView bytes;
  RETURN_IF_ERROR(in->GetRaw(values->size() * sizeof(float), &bytes));
  if (!bytes.empty()) std::memcpy(values->data(), bytes.data(), bytes.size());
  return OkStatus();
}

Status Mismatch(const char* what, uint64_t got, uint64_t want) {
  return base::DataLoss(fmt::format("range state {}: got {}, want {}", what, got, want));
}

}  // namespace

size_t RangeValuesBytes(const RangeShape& shape) {
  return kHeaderBytes + (shape.count + shape.moments * shape.trainable) * sizeof(float);
}

RangeView RangeValues::View() const { return {parameters, {moments.begin(), moments.end()}}; }

Bytes EncodeRangeValues(const RangeView& values) {
  const RangeShape shape{.count = values.parameters.size(),
                         .trainable = values.moments.empty() ? 0 : values.moments.front().size(),
                         .moments = values.moments.size()};
  Bytes payload;
  payload.reserve(RangeValuesBytes(shape));
  base::ByteWriter out(&payload);
  out.Put(uint32_t{0});
  out.Put(static_cast<uint32_t>(shape.moments));
  out.Put(uint64_t{shape.count});
  out.Put(uint64_t{shape.trainable});
  PutFloats(values.parameters, &out);
  for (const std::span<const float>& moment : values.moments) {
    CHECK_EQ(moment.size(), shape.trainable);
    PutFloats(moment, &out);
  }
  const uint32_t checksum = base::Crc32c(ByteView(payload).subspan(kChecksumBytes));
  std::memcpy(payload.data(), &checksum, sizeof(checksum));
  return payload;
}

Result<RangeValues> DecodeRangeValues(ByteView payload, const RangeShape& shape) {
  if (payload.size() != RangeValuesBytes(shape)) {
    return Mismatch("bytes", payload.size(), RangeValuesBytes(shape));
  }
  base::ByteReader in(payload);
  uint32_t checksum = 0, moments = 0;
  uint64_t count = 0, trainable = 0;
  RETURN_IF_ERROR(in.Get(&checksum));
  RETURN_IF_ERROR(in.Get(&moments));
  RETURN_IF_ERROR(in.Get(&count));
  RETURN_IF_ERROR(in.Get(&trainable));
  if (moments != shape.moments) return Mismatch("moments", moments, shape.moments);
  if (count != shape.count) return Mismatch("values", count, shape.count);
  const uint64_t want_trainable = shape.moments == 0 ? 0 : shape.trainable;
  if (trainable != want_trainable) return Mismatch("trainable", trainable, want_trainable);
  const uint32_t right = base::Crc32c(payload.subspan(kChecksumBytes));
  if (checksum != right) return Mismatch("checksum", checksum, right);
  RangeValues values;
  values.parameters.resize(shape.count);
  RETURN_IF_ERROR(GetFloats(&in, &values.parameters));
  values.moments.assign(shape.moments, std::vector<float>(shape.trainable));
  for (std::vector<float>& moment : values.moments) RETURN_IF_ERROR(GetFloats(&in, &moment));
  return values;
}

engine::OptimizerOptions UpdateRule(const JobSpec& spec) {
  if (!spec.aggregation.TrainsLocally()) return spec.optimizer;
  const double momentum = spec.aggregation.outer_momentum;
  return {.kind = engine::OptimizerOptions::Kind::kSgd,
          .momentum = momentum,
          .nesterov = momentum != 0};
}

RangeShape ShapeOf(const JobSpec& spec, const Range& range) {
  const int64_t trainable = std::clamp<int64_t>(spec.trainable_count - range.begin, 0, range.count);
  return {.count = static_cast<size_t>(range.count),
          .trainable = static_cast<size_t>(trainable),
          .moments = engine::StateVectors(UpdateRule(spec))};
}

std::vector<engine::StatisticStretch> StatisticsOf(const JobSpec& spec, const Range& range) {
  std::vector<engine::StatisticStretch> found;
  for (const engine::StatisticStretch& stretch : spec.statistics) {
    const Range part = Overlap(range, {stretch.begin, stretch.count});
    if (part.count == 0) continue;
    const bool set = spec.aggregation.TrainsLocally();
    found.push_back({part.begin - range.begin, part.count, set ? 1.0 : stretch.momentum});
  }
  return found;
}

bool InVector(const JobSpec& spec, const Range& range) {
  const int64_t n = spec.parameter_count();
  return range.begin >= 0 && range.begin < n && range.count > 0 && range.count <= n - range.begin;
}

Range Overlap(const Range& a, const Range& b) {
  const int64_t begin = std::max(a.begin, b.begin);
  return {begin, std::max<int64_t>(std::min(a.end(), b.end()) - begin, 0)};
}

// ---- RangeAssembly

RangeAssembly::RangeAssembly(const JobSpec& spec, const Range& range)
    : range_(range), trainable_(ShapeOf(spec, range).trainable) {
  numbers_.parameters.resize(static_cast<size_t>(range.count));
  // A fresh optimizer knows which vectors there are.
  numbers_.optimizer =
      engine::Optimizer(UpdateRule(spec), static_cast<int64_t>(trainable_), {}).state();
}

void RangeAssembly::Add(const Piece& piece) {
  CHECK(piece.range.begin >= range_.begin && piece.range.end() <= range_.end());
  CHECK_EQ(piece.values.parameters.size(), static_cast<size_t>(piece.range.count));
  const auto at = static_cast<size_t>(piece.range.begin - range_.begin);
  std::ranges::copy(piece.values.parameters, numbers_.parameters.data() + at);
  auto& moments = numbers_.optimizer.moments;
  CHECK_EQ(piece.values.moments.size(), moments.size());
  for (size_t i = 0; i < moments.size(); ++i) {
    const std::span<const float> values = piece.values.moments[i];
    CHECK(values.empty() || at + values.size() <= trainable_);
    if (!values.empty()) std::ranges::copy(values, moments[i].values.data() + at);
  }
  numbers_.step = std::max(numbers_.step, piece.step);
  numbers_.version = std::max(numbers_.version, piece.version);
  numbers_.optimizer.steps = std::max(numbers_.optimizer.steps, piece.optimizer_steps);
  covered_.Add(piece.range.begin, piece.range.end());
}

Snapshot RangeAssembly::Take() {
  CHECK(whole());
  return std::move(numbers_);
}

}  // namespace weft::cluster
