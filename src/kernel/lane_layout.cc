#include "kernel/lane_layout.h"

#include "base/check.h"

namespace weft::kernel {

namespace {

class Lanes : public Layout::Blocked {
 public:
  explicit Lanes(const Shape& shape)
      : floats_(SampleBlocks(shape[0]) * kSampleLanes * (shape.elements() / shape[0])) {}

  size_t bytes() const override { return static_cast<size_t>(floats_) * sizeof(float); }
  // The shape is compared by Layout.
  bool Equals(const Blocked& other) const override {
    return dynamic_cast<const Lanes*>(&other) != nullptr;
  }
  std::string ToString() const override { return "[16 samples]"; }

 private:
  int64_t floats_;
};

}  // namespace

Layout LaneLayout(const Shape& shape) {
  CHECK_EQ(shape.rank(), 4u);
  return {shape, std::make_shared<Lanes>(shape)};
}

bool IsLanes(const Layout& layout) {
  return dynamic_cast<const Lanes*>(layout.blocked()) != nullptr;
}

}  // namespace weft::kernel
