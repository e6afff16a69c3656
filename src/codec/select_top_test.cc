#include "codec/select_top.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"

namespace weft::codec {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// By sorting all of them.
std::vector<uint16_t> Largest(const std::vector<float>& values, size_t k) {
  std::vector<uint16_t> order(values.size());
  std::iota(order.begin(), order.end(), uint16_t{0});
  std::stable_sort(order.begin(), order.end(), [&](uint16_t a, uint16_t b) {
    return std::fabs(values[a]) > std::fabs(values[b]);
  });
  order.resize(k);
  std::sort(order.begin(), order.end());
  return order;
}

TEST(SelectTop, AgreesWithSorting) {
  TopSelector selector;
  std::vector<uint16_t> positions;
  base::Rng rng(1);
  for (const size_t n : {1, 2, 63, 64, 65, 1000, 4095, 4096}) {
    for (const int distinct : {1, 2, 100, 1 << 20}) {
      std::vector<float> values(n);
      for (float& value : values) {
        const auto size = static_cast<double>(rng.NextBelow(static_cast<uint64_t>(distinct)));
        value = static_cast<float>((size - distinct / 2) * std::exp2(rng.NextUniform(-40, 40)));
      }
      for (const size_t k : {size_t{0}, size_t{1}, n / 100, n / 64, n / 2, n - 1, n}) {
        selector.Select(values, k, &positions);
        ASSERT_EQ(positions, Largest(values, k)) << k << " of " << n << ", " << distinct;
      }
    }
  }
}

TEST(SelectTop, OfEqualsTheFirstAreTaken) {
  TopSelector selector;
  std::vector<uint16_t> positions;
  selector.Select(std::vector<float>{1, -2, 2, 2, 0}, 2, &positions);
  EXPECT_THAT(positions, ElementsAre(1, 2));
}

TEST(SelectTop, AboveAThreshold) {
  std::vector<uint16_t> positions;
  SelectAbove(std::vector<float>{1, -2, 2.5f, 0, -0.0f}, 1, &positions);
  EXPECT_THAT(positions, ElementsAre(1, 2));
  SelectAbove(std::vector<float>{0, -0.0f}, 0, &positions);
  EXPECT_THAT(positions, IsEmpty());
}

}  // namespace
}  // namespace weft::codec
