#pragma once
// Shape: the logical extents of a tensor, outermost first, e.g. (N, C, H, W).

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "base/check.h"

namespace weft::tensor {

class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims) : rank_(static_cast<int>(dims.size())) {
    CHECK_LE(rank_, kMaxRank);
    for (int i = 0; i < rank_; ++i) dims_[i] = dims[i];
  }

  int rank() const { return rank_; }
  int64_t operator[](int axis) const {
    DCHECK(axis >= 0 && axis < rank_);
    return dims_[axis];
  }
  std::span<const int64_t> dims() const { return {dims_.data(), static_cast<size_t>(rank_)}; }

  // Product of the extents; 1 for rank 0.
  int64_t elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= dims_[i];
    return n;
  }

  // The same extents with `extent` at `axis`.
  Shape With(int axis, int64_t extent) const {
    Shape shape = *this;
    shape.dims_[axis] = extent;
    return shape;
  }

  bool operator==(const Shape& other) const { return rank_ == other.rank_ && dims_ == other.dims_; }

  // "64x3x32x32"
  std::string ToString() const;

 private:
  int rank_ = 0;
  std::array<int64_t, kMaxRank> dims_{};
};

}  // namespace weft::tensor

namespace weft {
using tensor::Shape;
}  // namespace weft
