#include "codec/selection.h"

#include <algorithm>

#include "base/check.h"

namespace weft::codec {

void Group::Add(std::span<const uint16_t> positions, size_t begin) {
  for (size_t i = 0; i < positions.size(); ++i) {
    at[size + i] = static_cast<uint32_t>(begin + positions[i]);
  }
  size += positions.size();
  open = true;
}

SelectionWriter::SelectionWriter(ValueKind kind, const Carry& carry, Group* group, Bytes* out)
    : kind_(kind), carry_(carry), group_(group), out_(out), bits_(out) {
  group_->size = 0;
  group_->open = false;
}

void SelectionWriter::Add(std::span<const uint16_t> positions, std::span<const float> chunk,
                          size_t begin) {
  PackPositions(positions, chunk.size(), &bits_);
  float* const values = group_->values.data() + group_->size;
  for (size_t i = 0; i < positions.size(); ++i) values[i] = chunk[positions[i]];
  group_->Add(positions, begin);
  if (group_->full()) End();
}

void SelectionWriter::End() {
  if (!group_->open) return;
  bits_.Align();
  for (size_t done = 0; done < group_->size; done += kMaxChunkValues) {
    const size_t n = std::min(kMaxChunkValues, group_->size - done);
    const std::span<float> values = std::span(group_->values).subspan(done, n);
    WriteWhole(kind_, values, carry_.residual.empty() ? carry_.residual : values, group_->sent,
               out_);
  }
  for (size_t i = 0; i < group_->size; ++i) {
    const uint32_t at = group_->at[i];
    if (!carry_.residual.empty()) carry_.residual[at] = group_->values[i];
    if (!carry_.velocity.empty()) carry_.velocity[at] = 0;
  }
  group_->size = 0;
  group_->open = false;
}

void WriteWhole(ValueKind kind, std::span<const float> chunk, std::span<float> residual,
                std::span<float> sent, Bytes* out) {
  const size_t at = out->size();
  out->resize(at + QuantisedBytes(kind, chunk.size()));
  Quantise(kind, chunk, out->data() + at);
  if (residual.empty()) return;
  const std::span<float> values = sent.first(chunk.size());
  CHECK(Dequantise(kind, ByteView(*out).subspan(at), values).ok());
  for (size_t i = 0; i < values.size(); ++i) residual[i] = chunk[i] - values[i];
}

}  // namespace weft::codec
