#include "codec/ternary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "codec/bits.h"
#include "codec/positions.h"
#include "codec/quantise.h"

namespace weft::codec {
namespace {

// Its values as they will be decoded, and where they are not 0.
void Round(std::span<const float> chunk, std::span<float> sent, std::vector<uint16_t>* positions) {
  float largest = 0;
  for (const float value : chunk) largest = std::max(largest, std::fabs(value));
  const float scale = std::min(kSparsityMultiplier * largest, std::numeric_limits<float>::max());
  const float half = 0.5f * scale;
  positions->clear();
  for (size_t i = 0; i < chunk.size(); ++i) {
    const bool some = std::fabs(chunk[i]) > half;
    sent[i] = some ? std::copysign(scale, chunk[i]) : 0.0f;
    if (some) positions->push_back(static_cast<uint16_t>(i));
  }
}

void PutPositions(std::span<const uint16_t> positions, size_t span, Bytes* out) {
  BitWriter bits(out);
  PackPositions(positions, span, &bits);
  bits.Align();
}

void PutAll(std::span<const float> sent, Bytes* out) {
  std::array<uint16_t, kMaxSpan> all;
  for (size_t i = 0; i < sent.size(); ++i) all[i] = static_cast<uint16_t>(i);
  PutPositions(std::span(all).first(sent.size()), sent.size(), out);
}

void PutValues(ValueKind kind, std::span<const float> values, Bytes* out) {
  const size_t at = out->size();
  out->resize(at + QuantisedBytes(kind, values.size()));
  Quantise(kind, values, out->data() + at);
}

}  // namespace

void WriteTernary(std::span<const float> chunk, std::span<float> residual, std::span<float> sent,
                  std::vector<uint16_t>* positions, Bytes* out) {
  const std::span<float> rounded = sent.first(chunk.size());
  Round(chunk, rounded, positions);
  const size_t begin = out->size();
  PutPositions(*positions, chunk.size(), out);
  const size_t with_signs =
      out->size() - begin + QuantisedBytes(ValueKind::kSign, positions->size());
  const size_t with_codes = 1 + QuantisedBytes(ValueKind::kTernary, chunk.size());
  const bool all = positions->size() == chunk.size();
  if (all || with_codes < with_signs) {
    out->resize(begin);
    PutAll(rounded, out);
    PutValues(ValueKind::kTernary, rounded, out);
  } else {
    std::array<float, kMaxSpan> selected;
    for (size_t i = 0; i < positions->size(); ++i) selected[i] = rounded[(*positions)[i]];
    PutValues(ValueKind::kSign, std::span(selected).first(positions->size()), out);
  }
  if (residual.empty()) return;
  size_t used = 0;
  CHECK(ReadTernary(ByteView(*out).subspan(begin), rounded, positions, &used).ok());
  for (size_t i = 0; i < chunk.size(); ++i) residual[i] = chunk[i] - rounded[i];
}

Status ReadTernary(ByteView in, std::span<float> values, std::vector<uint16_t>* positions,
                   size_t* used) {
  BitReader bits(in);
  RETURN_IF_ERROR(UnpackPositions(values.size(), &bits, positions));
  bits.Align();
  if (bits.failed()) return DataLoss("ternary: positions are not followed by zeros");
  const bool all = positions->size() == values.size();
  const ValueKind kind = all ? ValueKind::kTernary : ValueKind::kSign;
  const size_t bytes = QuantisedBytes(kind, positions->size());
  *used = bits.position() / 8 + bytes;
  if (in.size() < *used) return DataLoss("ternary: truncated");
  const ByteView packed = in.subspan(bits.position() / 8, bytes);
  if (all) return Dequantise(kind, packed, values);
  std::array<float, kMaxSpan> signs;
  const std::span<float> selected = std::span(signs).first(positions->size());
  RETURN_IF_ERROR(Dequantise(kind, packed, selected));
  std::fill(values.begin(), values.end(), 0.0f);
  for (size_t i = 0; i < selected.size(); ++i) values[(*positions)[i]] = selected[i];
  return OkStatus();
}

}  // namespace weft::codec
