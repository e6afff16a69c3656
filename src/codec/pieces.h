#pragma once
// Pieces: where the tensors of a run and a range of the flat vector overlap. Both ends of an update
// make the same of the table that they share, so that no packet names a tensor.

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "codec/codec.h"
#include "codec/positions.h"

namespace weft::codec {

// A packet writes the tensors of one class after those of another, each in the order of the vector.
enum class TensorClass : uint8_t { kLarge, kSmall, kStatistics };
inline constexpr size_t kTensorClasses = 3;

// Trained tensors with fewer values are small: their positions would cost about what they do.
inline constexpr int64_t kSmallTensor = 2048;

TensorClass ClassOf(const Tensor& tensor);

struct Piece {
  size_t begin = 0;  // within the range
  size_t count = 0;  // at least one
  Tensor tensor;
};

// Errors: kInvalidArgument unless the tensors are not empty, tile a vector and rows divide counts.
Status CheckTensors(std::span<const Tensor> tensors);

// The pieces of a range and a class, in order. Threads: one.
class PieceWalk {
 public:
  // Neither owns nor copies the table. Without one, the range is one trained tensor.
  PieceWalk(std::span<const Tensor> tensors, int64_t begin, size_t count);
  PieceWalk(const PieceWalk&) = delete;

  int64_t begin() const { return begin_; }
  // True if the table covers the whole range.
  bool Covers() const;
  bool Has(TensorClass want) const;

  // Calls visit(piece) of each, which returns a Status; stops at the first that is not ok.
  template <class Visit>
  Status ForEach(TensorClass want, Visit visit) const {
    for (size_t i = first_; i < tensors_.size() && tensors_[i].begin < end_; ++i) {
      if (ClassOf(tensors_[i]) == want) RETURN_IF_ERROR(visit(PieceOf(tensors_[i])));
    }
    return OkStatus();
  }

 private:
  Piece PieceOf(const Tensor& tensor) const;

  Tensor whole_;  // stands in for an empty table
  std::span<const Tensor> tensors_;
  int64_t begin_;
  int64_t end_;
  size_t first_;  // of the tensors that end behind begin_
};

// Calls visit(begin, count) of each chunk of a piece, with its place in the range. Visit returns a
// Status; stops at the first that is not ok.
template <class Visit>
Status ForEachChunk(const Piece& piece, Visit visit) {
  for (size_t done = 0; done < piece.count; done += kMaxSpan) {
    RETURN_IF_ERROR(visit(piece.begin + done, std::min(kMaxSpan, piece.count - done)));
  }
  return OkStatus();
}

}  // namespace weft::codec
