// Winograd convolutions against the reference twin over odd shapes, for both tile sizes, every
// instruction set and both ways of cutting the work.

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include "kernel/onednn_layout.h"
#include "kernel/test_runner.h"
#include "kernel/winograd_backend.h"
#include "kernel/winograd_plan.h"

namespace weft::kernel {
namespace {

struct Case {
  const char* name;
  ConvDesc desc;
};

ConvDesc Describe(int64_t batch, int64_t in, int64_t out, int64_t height, int64_t width) {
  return {.batch = batch,
          .in_channels = in,
          .in_height = height,
          .in_width = width,
          .out_channels = out,
          .kernel_height = 3,
          .kernel_width = 3,
          .pad_top = 1,
          .pad_left = 1,
          .pad_bottom = 1,
          .pad_right = 1};
}

ConvDesc Padded(ConvDesc d, int64_t top, int64_t left, int64_t bottom, int64_t right) {
  d.pad_top = top;
  d.pad_left = left;
  d.pad_bottom = bottom;
  d.pad_right = right;
  return d;
}

ConvDesc Activated(ConvDesc d, Activation activation, float slope = 0) {
  d.activation = activation;
  d.slope = slope;
  return d;
}

ConvDesc Unbiased(ConvDesc d) {
  d.bias = false;
  return d;
}

std::vector<Case> Cases() {
  return {
      {"Square", Describe(3, 16, 32, 8, 8)},
      {"ManyTiles", Describe(5, 16, 16, 19, 23)},
      {"ManyChannels", Unbiased(Describe(1, 48, 64, 4, 4))},
      {"OneTile", Describe(1, 16, 16, 2, 2)},
      {"Row", Describe(2, 16, 48, 4, 17)},
      {"NoPadding", Padded(Describe(2, 32, 16, 7, 9), 0, 0, 0, 0)},
      {"UnevenPadding", Padded(Describe(2, 16, 16, 5, 6), 0, 2, 1, 0)},
      {"WidePadding", Padded(Describe(1, 16, 32, 4, 4), 2, 2, 2, 2)},
      {"Relu", Activated(Describe(2, 16, 16, 6, 6), Activation::kRelu)},
      {"Leaky", Activated(Unbiased(Describe(2, 16, 16, 6, 5)), Activation::kLeakyRelu, 0.1f)},
  };
}

struct Passes {
  Floats dst, diff_src, diff_weights, diff_bias;
};

// All three passes on the same random numbers; `at`: the layout in which images arrive.
Passes RunAll(Backend& edges, Backend& tested, const ConvDesc& d, int64_t block) {
  const auto image = [&](const Shape& shape) {
    return block == 0 ? Layout(shape) : ImageLayout(shape, block);
  };
  const Floats src = RandomFloats(d.src_shape().elements(), 1);
  const Floats weights = RandomFloats(d.weights_shape().elements(), 2);
  const Floats diff_dst = RandomFloats(d.dst_shape().elements(), 4);
  Passes passes;
  OpRunner forward(edges, tested.ConvForward(d, image(d.src_shape())));
  forward.Set("src", src).Set("weights", weights);
  if (d.bias) forward.Set("bias", RandomFloats(d.out_channels, 3));
  passes.dst = forward.Run().Get("dst");
  OpRunner data(edges, tested.ConvBackwardData(d, image(d.dst_shape()), image(d.src_shape())));
  passes.diff_src = data.Set("diff_dst", diff_dst).Set("weights", weights).Run().Get("diff_src");
  OpRunner gradient(
      edges, tested.ConvBackwardWeights(d, image(d.src_shape()), image(d.dst_shape()), Layout()));
  gradient.Set("src", src).Set("diff_dst", diff_dst).Run();
  passes.diff_weights = gradient.Get("diff_weights");
  if (d.bias) passes.diff_bias = gradient.Get("diff_bias");
  return passes;
}

void ExpectTwins(const ConvDesc& d, int tile, int64_t block, int threads) {
  SCOPED_TRACE(testing::Message() << "F(" << tile << "), blocks of " << block << ", " << threads
                                  << " threads");
  const auto edges = TestBackend("onednn");
  const auto slow = TestBackend("reference");
  WinogradBackend fast({threads}, tile);
  const Passes got = RunAll(*edges, fast, d, block);
  const Passes want = RunAll(*slow, *slow, d, 0);
  EXPECT_LT(WorstDeviation(got.dst, want.dst), 3e-6);
  EXPECT_LT(WorstDeviation(got.diff_src, want.diff_src), 3e-6);
  EXPECT_LT(WorstDeviation(got.diff_weights, want.diff_weights), 5e-6);
  EXPECT_EQ(got.diff_bias.size(), want.diff_bias.size());
  EXPECT_LT(WorstDeviation(got.diff_bias, want.diff_bias), 5e-6);  // both empty without a bias
}

class WinogradTwinTest : public testing::TestWithParam<Case> {};

TEST_P(WinogradTwinTest, MatchesReference) {
  const ConvDesc& d = GetParam().desc;
  for (const int tile : {2, 4}) {
    if (std::min({d.in_height, d.in_width, d.out_height(), d.out_width()}) < tile) continue;
    for (const int64_t block : {8, 16}) {
      for (const int threads : {1, 3}) ExpectTwins(GetParam().desc, tile, block, threads);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, WinogradTwinTest, testing::ValuesIn(Cases()),
                         [](const auto& at) { return at.param.name; });

TEST(WinogradTargetsTest, EveryInstructionSetMatchesReference) {
  for (const auto target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    SCOPED_TRACE(hwy::TargetName(target));
    for (const int tile : {2, 4}) {
      ExpectTwins(Describe(3, 16, 48, 9, 6), tile, 8, 2);
      ExpectTwins(Describe(2, 32, 16, 6, 9), tile, 16, 2);
    }
    hwy::SetSupportedTargetsForTest(0);
  }
}

TEST(WinogradPlanTest, CasesCoverBothWaysOfCutting) {
  int forward = 0, gradient = 0;
  const std::vector<Case> cases = Cases();
  for (const Case& one : cases) {
    const WinogradConv conv = WinogradConv::Forward(one.desc, 4, 16);
    forward += WinogradForwardPlan(conv).by_channels ? 1 : 0;
    gradient += WinogradGradientPlan(conv).by_channels ? 1 : 0;
  }
  EXPECT_GT(forward, 0);
  EXPECT_LT(forward, static_cast<int>(cases.size()));
  EXPECT_GT(gradient, 0);
  EXPECT_LT(gradient, static_cast<int>(cases.size()));
}

TEST(WinogradTest, ManyBlocksOfTilesAddUp) {
  ExpectTwins(Describe(7, 16, 16, 32, 32), 4, 16, 2);  // 448 tiles: several blocks a thread
  ExpectTwins(Describe(7, 16, 16, 32, 32), 2, 8, 1);
}

TEST(WinogradTest, SameThreadsSameBits) {
  const ConvDesc d = Describe(7, 16, 32, 16, 16);
  const auto edges = TestBackend("onednn");
  WinogradBackend fast({2}, 4);
  const Passes first = RunAll(*edges, fast, d, 16);
  const Passes second = RunAll(*edges, fast, d, 16);
  EXPECT_EQ(first.dst, second.dst);
  EXPECT_EQ(first.diff_src, second.diff_src);
  EXPECT_EQ(first.diff_weights, second.diff_weights);
}

TEST(WinogradTest, RefusesWhatItCannot) {
  WinogradBackend backend({1}, 4);
  const auto code = [&](const ConvDesc& d) {
    return backend.ConvForward(d, Layout()).status().code();
  };
  ConvDesc strided = Describe(1, 16, 16, 8, 8);
  strided.stride_height = 2;
  ConvDesc five = Describe(1, 16, 16, 8, 8);
  five.kernel_width = 5;
  ConvDesc grouped = Describe(1, 16, 16, 8, 8);
  grouped.groups = 2;
  EXPECT_EQ(code(strided), base::Code::kUnimplemented);
  EXPECT_EQ(code(five), base::Code::kUnimplemented);
  EXPECT_EQ(code(grouped), base::Code::kUnimplemented);
  EXPECT_EQ(code(Describe(1, 3, 16, 8, 8)), base::Code::kUnimplemented);
  EXPECT_EQ(code(Describe(1, 16, 16, 3, 8)), base::Code::kUnimplemented);
  EXPECT_EQ(code(Padded(Describe(1, 16, 16, 8, 8), 3, 1, 1, 1)), base::Code::kUnimplemented);
}

}  // namespace
}  // namespace weft::kernel
