#pragma once
// Layout: how the numbers of one f32 tensor lie in memory. Row major ("plain"), or a blocked form
// that a fast kernel chose for itself and only its own room understands.

#include <cstddef>
#include <memory>
#include <string>

#include "tensor/shape.h"

namespace weft::kernel {

class Layout {
 public:
  // What a backend keeps for a layout of its own. Immutable.
  class Blocked {
   public:
    virtual ~Blocked() = default;
    virtual size_t bytes() const = 0;
    virtual bool Equals(const Blocked& other) const = 0;
    virtual std::string ToString() const = 0;
  };

  Layout() = default;
  explicit Layout(Shape shape) : shape_(shape) {}
  Layout(Shape shape, std::shared_ptr<const Blocked> blocked)
      : shape_(shape), blocked_(std::move(blocked)) {}

  // The logical extents; padding of a blocked form is not counted.
  const Shape& shape() const { return shape_; }
  bool plain() const { return blocked_ == nullptr; }
  const Blocked* blocked() const { return blocked_.get(); }
  // Bytes of memory, padding included. Padding always holds zeros, so elementwise kernels may run
  // over it.
  size_t bytes() const {
    return plain() ? static_cast<size_t>(shape_.elements()) * sizeof(float) : blocked_->bytes();
  }
  size_t floats() const { return bytes() / sizeof(float); }

  bool operator==(const Layout& other) const {
    if (!(shape_ == other.shape_) || plain() != other.plain()) return false;
    return plain() || blocked_->Equals(*other.blocked_);
  }

  // "64x3x32x32 plain"
  std::string ToString() const {
    return shape_.ToString() + " " + (plain() ? "plain" : blocked_->ToString());
  }

 private:
  Shape shape_;
  std::shared_ptr<const Blocked> blocked_;
};

}  // namespace weft::kernel
