#pragma once
// UpdateWriter: one packet of UpdateCodec, class of tensors by class of tensors.

#include <map>
#include <vector>

#include "base/bytes.h"
#include "codec/codec.h"
#include "codec/pieces.h"
#include "codec/select_top.h"
#include "codec/selection.h"
#include "codec/selectors.h"
#include "codec/update_frame.h"

namespace weft::codec {

// What a writer works in, kept from one packet to the next.
struct WriterScratch {
  Group group;
  TopSelector top;
  std::vector<uint16_t> positions;
};

// Each value of the range has to be in just one class that is written. Threads: one.
class UpdateWriter {
 public:
  // Owns none of them. Sums of values and residual must be finite.
  UpdateWriter(const PieceWalk* pieces, std::span<const float> values, const Carry& carry,
               WriterScratch* scratch, Bytes* out);

  // Appends the form and all values of a class; nothing if the range has none of it.
  Status Whole(TensorClass which, const Form& form);
  Status Sparse(TensorClass which, const Form& form, Selector* selector);
  Status Ternary(TensorClass which, const Form& form);
  // Matrices by factors of that rank, where it pays.
  //   warm  the factors of the update before, by where the piece begins in the flat vector
  Status LowRank(TensorClass which, size_t rank, std::map<int64_t, std::vector<float>>* warm);

 private:
  // values + residual of a stretch, once in a packet; it is in the residual then, if there is one.
  std::span<const float> SumUp(size_t begin, size_t count);
  Sums SumsOf(const Piece& piece) const;
  std::span<float> ResidualOf(size_t begin, size_t count) const;
  Status WriteChunk(ValueKind kind, size_t begin, size_t count);
  Status WriteSums(ValueKind kind, size_t begin, std::span<const float> sums);
  Status WriteMatrix(const Piece& piece, size_t rank, std::vector<float>* warm);

  const PieceWalk* pieces_;
  std::span<const float> values_;
  Carry carry_;
  WriterScratch* scratch_;
  Bytes* out_;
};

}  // namespace weft::codec
