#include "codec/update_writer.h"

#include "codec/low_rank.h"
#include "codec/ternary.h"

namespace weft::codec {

UpdateWriter::UpdateWriter(const PieceWalk* pieces, std::span<const float> values,
                           const Carry& carry, WriterScratch* scratch, Bytes* out)
    : pieces_(pieces), values_(values), carry_(carry), scratch_(scratch), out_(out) {}

std::span<float> UpdateWriter::ResidualOf(size_t begin, size_t count) const {
  return carry_.residual.empty() ? carry_.residual : carry_.residual.subspan(begin, count);
}

Sums UpdateWriter::SumsOf(const Piece& piece) const {
  return {values_.subspan(piece.begin, piece.count), ResidualOf(piece.begin, piece.count)};
}

std::span<const float> UpdateWriter::SumUp(size_t begin, size_t count) {
  const std::span<const float> values = values_.subspan(begin, count);
  if (carry_.residual.empty()) return values;
  const std::span<float> sums = ResidualOf(begin, count);
  for (size_t i = 0; i < count; ++i) sums[i] += values[i];
  return sums;
}

Status UpdateWriter::WriteSums(ValueKind kind, size_t begin, std::span<const float> sums) {
  WriteWhole(kind, sums, ResidualOf(begin, sums.size()), scratch_->group.sent, out_);
  return OkStatus();
}

Status UpdateWriter::WriteChunk(ValueKind kind, size_t begin, size_t count) {
  return WriteSums(kind, begin, SumUp(begin, count));
}

Status UpdateWriter::Whole(TensorClass which, const Form& form) {
  if (!pieces_->Has(which)) return OkStatus();
  PutForm(form, out_);
  const auto write_chunk = [&](size_t begin, size_t count) {
    return WriteChunk(form.kind, begin, count);
  };
  return pieces_->ForEach(which,
                          [&](const Piece& piece) { return ForEachChunk(piece, write_chunk); });
}

Status UpdateWriter::Sparse(TensorClass which, const Form& form, Selector* selector) {
  if (!pieces_->Has(which)) return OkStatus();
  PutForm(form, out_);
  SelectionWriter selection(form.kind, carry_, &scratch_->group, out_);
  uint64_t chunks = 0;
  const auto write_chunk = [&](size_t begin, size_t count) {
    if (form.HasTurn(chunks++)) {
      selection.End();
      return WriteChunk(ValueKind::kInt8, begin, count);
    }
    const std::span<const float> chunk = SumUp(begin, count);
    selector->Select(chunk, &scratch_->positions);
    selection.Add(scratch_->positions, chunk, begin);
    return OkStatus();
  };
  const Status status = pieces_->ForEach(which, [&](const Piece& piece) {
    selector->Begin(piece, SumsOf(piece));
    RETURN_IF_ERROR(ForEachChunk(piece, write_chunk));
    if (!form.joined) selection.End();
    return OkStatus();
  });
  RETURN_IF_ERROR(status);
  selection.End();
  return OkStatus();
}

Status UpdateWriter::Ternary(TensorClass which, const Form& form) {
  if (!pieces_->Has(which)) return OkStatus();
  PutForm(form, out_);
  uint64_t chunks = 0;
  const auto write_chunk = [&](size_t begin, size_t count) {
    if (form.HasTurn(chunks++)) return WriteChunk(ValueKind::kInt8, begin, count);
    const std::span<const float> chunk = SumUp(begin, count);
    WriteTernary(chunk, ResidualOf(begin, count), scratch_->group.sent, &scratch_->positions, out_);
    return OkStatus();
  };
  return pieces_->ForEach(which,
                          [&](const Piece& piece) { return ForEachChunk(piece, write_chunk); });
}

Status UpdateWriter::LowRank(TensorClass which, size_t rank,
                             std::map<int64_t, std::vector<float>>* warm) {
  if (!pieces_->Has(which)) return OkStatus();
  PutForm({.layout = Layout::kLowRank, .kind = ValueKind::kFloat16}, out_);
  return pieces_->ForEach(which, [&](const Piece& piece) {
    const int64_t begin = pieces_->begin() + static_cast<int64_t>(piece.begin);
    return WriteMatrix(piece, rank, &(*warm)[begin]);
  });
}

Status UpdateWriter::WriteMatrix(const Piece& piece, size_t rank, std::vector<float>* warm) {
  const Matrix matrix = MatrixOf(piece, pieces_->begin());
  const std::span<const float> sums = SumUp(piece.begin, piece.count);
  const std::span<float> residual = ResidualOf(piece.begin, piece.count);
  const size_t at = out_->size();
  const uint64_t seed = static_cast<uint64_t>(piece.tensor.begin);
  if (!WriteFactors(matrix, sums, rank, seed, warm, out_)) {
    return ForEachChunk(piece, [&](size_t begin, size_t count) {
      return WriteSums(ValueKind::kInt8, begin, sums.subspan(begin - piece.begin, count));
    });
  }
  if (residual.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const FactorProduct product,
                   FactorProduct::Open(matrix, rank, ByteView(*out_).subspan(at + 1)));
  product.ForEachStretch([&](size_t begin, std::span<const float> sent) {
    for (size_t i = 0; i < sent.size(); ++i) residual[begin + i] -= sent[i];
  });
  return OkStatus();
}

}  // namespace weft::codec
