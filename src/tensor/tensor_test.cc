#include <gtest/gtest.h>

#include <cstring>

#include "tensor/arena.h"
#include "tensor/shape.h"

namespace weft::tensor {
namespace {

TEST(Shape, CountsComparesAndPrints) {
  const Shape shape{4, 3, 2};
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape.elements(), 24);
  EXPECT_EQ(shape.ToString(), "4x3x2");
  EXPECT_EQ(shape.With(1, 5), (Shape{4, 5, 2}));
  EXPECT_NE(shape, (Shape{4, 3}));
  EXPECT_EQ(Shape().elements(), 1);
  EXPECT_EQ(Shape().ToString(), "scalar");
}

TEST(Shape, RefusesMoreAxesThanItHolds) {
  EXPECT_DEATH((Shape{1, 1, 1, 1, 1, 1, 1}), "CHECK failed");
}

TEST(Arena, IsAlignedZeroedAndMoves) {
  Arena arena(1000);
  ASSERT_EQ(reinterpret_cast<uintptr_t>(arena.data()) % kAlignment, 0u);
  for (size_t i = 0; i < arena.size(); ++i) ASSERT_EQ(arena.data()[i], 0);
  std::memset(arena.data(), 7, arena.size());
  uint8_t* const data = arena.data();
  Arena moved = std::move(arena);
  EXPECT_EQ(moved.data(), data);
  EXPECT_EQ(moved.data()[999], 7);
  EXPECT_EQ(Arena().data(), nullptr);
}

TEST(Arena, KeepsItsPagesWhenItGetsAnotherSize) {
  constexpr size_t kMiB = size_t{1} << 20;
  Arena arena;
  for (const size_t bytes : {1000 * size_t{1}, 3 * kMiB, 9 * kMiB + 5, 30 * kMiB, 5 * kMiB}) {
    const size_t before = arena.size();
    arena.Resize(bytes);
    arena.Populate();
    ASSERT_EQ(arena.size(), bytes);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(arena.data()) % kAlignment, 0u);
    for (size_t i = 0; i < bytes; i += 4096) {
      ASSERT_EQ(arena.data()[i], i < before ? 7 : 0) << "page " << i / 4096 << " of " << bytes;
    }
    std::memset(arena.data(), 7, bytes);
  }
  arena.Resize(0);
  EXPECT_EQ(arena.data(), nullptr);
}

}  // namespace
}  // namespace weft::tensor
