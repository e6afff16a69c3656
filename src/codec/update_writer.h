#pragma once
// UpdateWriter: one packet of UpdateCodec, class of tensors by class of tensors.

#include <functional>
#include <vector>

#include "base/bytes.h"
#include "codec/codec.h"
#include "codec/pieces.h"
#include "codec/select_top.h"
#include "codec/selection.h"
#include "codec/update_frame.h"

namespace weft::codec {

// What a writer works in, kept from one packet to the next.
struct WriterScratch {
  Group group;
  TopSelector top;
  std::vector<uint16_t> positions;
};

// Which values of a chunk are sent: fills `positions` for the chunk of a piece.
using Select = std::function<void(const Piece& piece, std::span<const float> chunk,
                                  std::vector<uint16_t>* positions)>;

// Each value of the range has to be in just one class that is written. Threads: one.
class UpdateWriter {
 public:
  // Owns none of them. Sums of values and residual must be finite.
  UpdateWriter(const PieceWalk* pieces, std::span<const float> values, const Carry& carry,
               WriterScratch* scratch, Bytes* out);

  // Appends the form and all values of a class; nothing if the range has none of it.
  Status Whole(TensorClass which, const Form& form);
  Status Sparse(TensorClass which, const Form& form, const Select& select);

 private:
  // values + residual of a stretch; it is in the residual then, if there is one.
  std::span<const float> Sums(size_t begin, size_t count);
  std::span<float> ResidualOf(size_t begin, size_t count) const;
  Status WriteChunk(ValueKind kind, size_t begin, size_t count);

  const PieceWalk* pieces_;
  std::span<const float> values_;
  Carry carry_;
  WriterScratch* scratch_;
  Bytes* out_;
};

}  // namespace weft::codec
