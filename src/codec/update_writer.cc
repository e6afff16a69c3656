#include "codec/update_writer.h"

namespace weft::codec {

UpdateWriter::UpdateWriter(const PieceWalk* pieces, std::span<const float> values,
                           const Carry& carry, WriterScratch* scratch, Bytes* out)
    : pieces_(pieces), values_(values), carry_(carry), scratch_(scratch), out_(out) {}

std::span<float> UpdateWriter::ResidualOf(size_t begin, size_t count) const {
  return carry_.residual.empty() ? carry_.residual : carry_.residual.subspan(begin, count);
}

std::span<const float> UpdateWriter::Sums(size_t begin, size_t count) {
  const std::span<const float> values = values_.subspan(begin, count);
  if (carry_.residual.empty()) return values;
  const std::span<float> sums = ResidualOf(begin, count);
  for (size_t i = 0; i < count; ++i) sums[i] += values[i];
  return sums;
}

Status UpdateWriter::WriteChunk(ValueKind kind, size_t begin, size_t count) {
  const std::span<const float> chunk = Sums(begin, count);
  WriteWhole(kind, chunk, ResidualOf(begin, count), scratch_->group.sent, out_);
  return OkStatus();
}

Status UpdateWriter::Whole(TensorClass which, const Form& form) {
  if (!pieces_->Has(which)) return OkStatus();
  PutForm(form, out_);
  return pieces_->ForEach(which, [&](const Piece& piece) {
    return ForEachChunk(
        piece, [&](size_t begin, size_t count) { return WriteChunk(form.kind, begin, count); });
  });
}

Status UpdateWriter::Sparse(TensorClass which, const Form& form, const Select& select) {
  if (!pieces_->Has(which)) return OkStatus();
  PutForm(form, out_);
  SelectionWriter selection(form.kind, carry_, &scratch_->group, out_);
  uint64_t chunks = 0;
  const auto write_chunk = [&](const Piece& piece, size_t begin, size_t count) {
    if (form.HasTurn(chunks++)) {
      selection.End();
      return WriteChunk(ValueKind::kInt8, begin, count);
    }
    const std::span<const float> chunk = Sums(begin, count);
    select(piece, chunk, &scratch_->positions);
    selection.Add(scratch_->positions, chunk, begin);
    return OkStatus();
  };
  const Status status = pieces_->ForEach(which, [&](const Piece& piece) {
    RETURN_IF_ERROR(ForEachChunk(
        piece, [&](size_t begin, size_t count) { return write_chunk(piece, begin, count); }));
    if (!form.joined) selection.End();
    return OkStatus();
  });
  RETURN_IF_ERROR(status);
  selection.End();
  return OkStatus();
}

}  // namespace weft::codec
