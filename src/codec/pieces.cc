#include "codec/pieces.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::codec {
namespace {

int64_t EndOf(const Tensor& tensor) { return tensor.begin + tensor.count; }

}  // namespace

TensorClass ClassOf(const Tensor& tensor) {
  if (!tensor.trained) return TensorClass::kStatistics;
  return tensor.count < kSmallTensor ? TensorClass::kSmall : TensorClass::kLarge;
}

Status CheckTensors(std::span<const Tensor> tensors) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& tensor = tensors[i];
    const bool follows = i == 0 || tensor.begin == EndOf(tensors[i - 1]);
    const bool whole = tensor.count > 0 && tensor.rows > 0 && tensor.count % tensor.rows == 0;
    if (follows && whole) continue;
    return InvalidArgument(fmt::format(
        "tensor {}: got {} rows of {} values from {}, want whole rows, behind the tensor before", i,
        tensor.rows, tensor.count, tensor.begin));
  }
  return OkStatus();
}

PieceWalk::PieceWalk(std::span<const Tensor> tensors, int64_t begin, size_t count)
    : whole_{.begin = begin, .count = static_cast<int64_t>(count)},
      tensors_(tensors),
      begin_(begin),
      end_(begin + static_cast<int64_t>(count)) {
  if (tensors_.empty()) tensors_ = {&whole_, 1};
  const auto ends_before = [](const Tensor& tensor, int64_t at) { return EndOf(tensor) <= at; };
  const auto first = std::lower_bound(tensors_.begin(), tensors_.end(), begin_, ends_before);
  first_ = static_cast<size_t>(first - tensors_.begin());
}

bool PieceWalk::Covers() const {
  return begin_ == end_ || (tensors_.front().begin <= begin_ && EndOf(tensors_.back()) >= end_);
}

bool PieceWalk::Has(TensorClass want) const {
  for (size_t i = first_; i < tensors_.size() && tensors_[i].begin < end_; ++i) {
    if (ClassOf(tensors_[i]) == want) return true;
  }
  return false;
}

Piece PieceWalk::PieceOf(const Tensor& tensor) const {
  const int64_t begin = std::max(tensor.begin, begin_);
  const int64_t end = std::min(EndOf(tensor), end_);
  return {static_cast<size_t>(begin - begin_), static_cast<size_t>(end - begin), tensor};
}

}  // namespace weft::codec
