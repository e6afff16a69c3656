// Fast convolutions against the reference twin over odd shapes, in the layouts of a chain.

#include <gtest/gtest.h>

#include "kernel/test_runner.h"

namespace weft::kernel {
namespace {

struct Case {
  const char* name;
  ConvDesc desc;
};

std::string Print(const ConvDesc& d) {
  return d.src_shape().ToString() + " * " + d.weights_shape().ToString() + " g" +
         std::to_string(d.groups);
}

// The library has something faster than our reference for every shape here.
void ExpectFast(const OpRunner& runner) { EXPECT_NE(runner.op().implementation(), "reference"); }

// Compares all three passes. `hint` is the layout in which src arrives.
void ExpectTwins(const ConvDesc& d, const Layout& hint, int threads = 1) {
  SCOPED_TRACE(Print(d) + " from " + hint.ToString());
  const auto fast = TestBackend("onednn", threads);
  const auto slow = TestBackend("reference");
  const Floats src = RandomFloats(d.src_shape().elements(), 1);
  const Floats weights = RandomFloats(d.weights_shape().elements(), 2);
  const Floats bias = RandomFloats(d.out_channels, 3);
  const Floats diff_dst = RandomFloats(d.dst_shape().elements(), 4);

  OpRunner forward(*fast, fast->ConvForward(d, hint));
  OpRunner want(*slow, slow->ConvForward(d, Layout()));
  for (OpRunner* runner : {&forward, &want}) {
    runner->Set("src", src).Set("weights", weights);
    if (d.bias) runner->Set("bias", bias);
    runner->Run();
  }
  EXPECT_LT(WorstDeviation(forward.Get("dst"), want.Get("dst")), 2e-6)
      << forward.op().implementation();
  ExpectFast(forward);

  const Layout dst = forward.port("dst").layout;
  OpRunner data(*fast, fast->ConvBackwardData(d, dst, forward.port("src").layout));
  OpRunner want_data(*slow, slow->ConvBackwardData(d, Layout(), Layout()));
  for (OpRunner* runner : {&data, &want_data}) {
    runner->Set("diff_dst", diff_dst).Set("weights", weights).Run();
  }
  EXPECT_LT(WorstDeviation(data.Get("diff_src"), want_data.Get("diff_src")), 2e-6)
      << data.op().implementation();
  ExpectFast(data);

  OpRunner gradient(*fast, fast->ConvBackwardWeights(d, forward.port("src").layout, dst,
                                                     forward.port("weights").layout));
  OpRunner want_gradient(*slow, slow->ConvBackwardWeights(d, Layout(), Layout(), Layout()));
  for (OpRunner* runner : {&gradient, &want_gradient}) {
    runner->Set("src", src).Set("diff_dst", diff_dst).Run();
  }
  EXPECT_LT(WorstDeviation(gradient.Get("diff_weights"), want_gradient.Get("diff_weights")), 5e-6)
      << gradient.op().implementation();
  ExpectFast(gradient);
  if (d.bias) {
    EXPECT_LT(WorstDeviation(gradient.Get("diff_bias"), want_gradient.Get("diff_bias")), 5e-6)
        << gradient.op().implementation();
  }
}

class ConvTwinTest : public testing::TestWithParam<Case> {};

TEST_P(ConvTwinTest, FromPlain) { ExpectTwins(GetParam().desc, Layout()); }

TEST_P(ConvTwinTest, FromBlocked) {
  ExpectTwins(GetParam().desc, BlockedAs(GetParam().desc.src_shape()));
}

TEST(ConvThreadsTest, TwinsAgree) {
  const ConvDesc d{.batch = 3,
                   .in_channels = 17,
                   .in_height = 9,
                   .in_width = 7,
                   .out_channels = 19,
                   .kernel_height = 3,
                   .kernel_width = 3,
                   .activation = Activation::kRelu};
  ExpectTwins(d, Layout(), 2);
}

constexpr auto kRelu = Activation::kRelu;
constexpr auto kLeaky = Activation::kLeakyRelu;

INSTANTIATE_TEST_SUITE_P(Shapes, ConvTwinTest,
                         testing::Values(Case{"One",
                                              {.batch = 1,
                                               .in_channels = 1,
                                               .in_height = 1,
                                               .in_width = 1,
                                               .out_channels = 1,
                                               .kernel_height = 1,
                                               .kernel_width = 1}},
                                         Case{"Lenet1",
                                              {.batch = 3,
                                               .in_channels = 1,
                                               .in_height = 28,
                                               .in_width = 28,
                                               .out_channels = 6,
                                               .kernel_height = 5,
                                               .kernel_width = 5,
                                               .pad_top = 2,
                                               .pad_left = 2,
                                               .pad_bottom = 2,
                                               .pad_right = 2,
                                               .activation = kRelu}},
                                         Case{"Lenet2",
                                              {.batch = 3,
                                               .in_channels = 6,
                                               .in_height = 14,
                                               .in_width = 14,
                                               .out_channels = 16,
                                               .kernel_height = 5,
                                               .kernel_width = 5,
                                               .activation = kRelu}},
                                         Case{"Colour",
                                              {.batch = 2,
                                               .in_channels = 3,
                                               .in_height = 17,
                                               .in_width = 13,
                                               .out_channels = 16,
                                               .kernel_height = 3,
                                               .kernel_width = 3,
                                               .pad_top = 1,
                                               .pad_left = 1,
                                               .pad_bottom = 1,
                                               .pad_right = 1,
                                               .bias = false}},
                                         Case{"ColourStride",
                                              {.batch = 2,
                                               .in_channels = 3,
                                               .in_height = 32,
                                               .in_width = 32,
                                               .out_channels = 64,
                                               .kernel_height = 3,
                                               .kernel_width = 3,
                                               .stride_height = 2,
                                               .stride_width = 2,
                                               .pad_top = 1,
                                               .pad_left = 1,
                                               .pad_bottom = 1,
                                               .pad_right = 1,
                                               .activation = kRelu}},
                                         Case{"Unaligned",
                                              {.batch = 3,
                                               .in_channels = 17,
                                               .in_height = 9,
                                               .in_width = 7,
                                               .out_channels = 19,
                                               .kernel_height = 3,
                                               .kernel_width = 3,
                                               .pad_top = 1,
                                               .pad_left = 1,
                                               .pad_bottom = 1,
                                               .pad_right = 1,
                                               .activation = kLeaky,
                                               .slope = 0.1f}},
                                         Case{"Uneven",
                                              {.batch = 2,
                                               .in_channels = 16,
                                               .in_height = 11,
                                               .in_width = 8,
                                               .out_channels = 8,
                                               .kernel_height = 2,
                                               .kernel_width = 3,
                                               .stride_height = 2,
                                               .stride_width = 3,
                                               .pad_top = 0,
                                               .pad_left = 2,
                                               .pad_bottom = 1,
                                               .pad_right = 0}},
                                         Case{"Tile",
                                              {.batch = 2,
                                               .in_channels = 8,
                                               .in_height = 10,
                                               .in_width = 6,
                                               .out_channels = 16,
                                               .kernel_height = 3,
                                               .kernel_width = 3,
                                               .pad_top = 1,
                                               .pad_left = 0,
                                               .pad_bottom = 0,
                                               .pad_right = 1}},
                                         Case{"Vgg",
                                              {.batch = 2,
                                               .in_channels = 32,
                                               .in_height = 8,
                                               .in_width = 8,
                                               .out_channels = 64,
                                               .kernel_height = 3,
                                               .kernel_width = 3,
                                               .pad_top = 1,
                                               .pad_left = 1,
                                               .pad_bottom = 1,
                                               .pad_right = 1,
                                               .bias = false}},
                                         Case{"VggLast",
                                              {.batch = 3,
                                               .in_channels = 64,
                                               .in_height = 2,
                                               .in_width = 2,
                                               .out_channels = 64,
                                               .kernel_height = 3,
                                               .kernel_width = 3,
                                               .pad_top = 1,
                                               .pad_left = 1,
                                               .pad_bottom = 1,
                                               .pad_right = 1,
                                               .bias = false}},
                                         Case{"Pointwise",
                                              {.batch = 2,
                                               .in_channels = 24,
                                               .in_height = 5,
                                               .in_width = 5,
                                               .out_channels = 32,
                                               .kernel_height = 1,
                                               .kernel_width = 1}},
                                         Case{"PointwiseStride",
                                              {.batch = 2,
                                               .in_channels = 24,
                                               .in_height = 7,
                                               .in_width = 7,
                                               .out_channels = 32,
                                               .kernel_height = 1,
                                               .kernel_width = 1,
                                               .stride_height = 2,
                                               .stride_width = 2}},
                                         Case{"Depthwise",
                                              {.batch = 2,
                                               .in_channels = 16,
                                               .in_height = 9,
                                               .in_width = 9,
                                               .out_channels = 16,
                                               .kernel_height = 3,
                                               .kernel_width = 3,
                                               .pad_top = 1,
                                               .pad_left = 1,
                                               .pad_bottom = 1,
                                               .pad_right = 1,
                                               .groups = 16,
                                               .activation = kRelu}},
                                         Case{"DepthwiseOdd",
                                              {.batch = 2,
                                               .in_channels = 6,
                                               .in_height = 9,
                                               .in_width = 9,
                                               .out_channels = 6,
                                               .kernel_height = 3,
                                               .kernel_width = 3,
                                               .stride_height = 2,
                                               .stride_width = 2,
                                               .groups = 6}},
                                         Case{"DepthwiseTimesTwo",
                                              {.batch = 2,
                                               .in_channels = 3,
                                               .in_height = 9,
                                               .in_width = 9,
                                               .out_channels = 6,
                                               .kernel_height = 3,
                                               .kernel_width = 3,
                                               .groups = 3}},
                                         Case{"Groups",
                                              {.batch = 2,
                                               .in_channels = 32,
                                               .in_height = 7,
                                               .in_width = 7,
                                               .out_channels = 16,
                                               .kernel_height = 3,
                                               .kernel_width = 3,
                                               .pad_top = 1,
                                               .pad_left = 1,
                                               .pad_bottom = 1,
                                               .pad_right = 1,
                                               .groups = 2}},
                                         Case{"GroupsOdd",
                                              {.batch = 2,
                                               .in_channels = 9,
                                               .in_height = 7,
                                               .in_width = 7,
                                               .out_channels = 6,
                                               .kernel_height = 3,
                                               .kernel_width = 3,
                                               .groups = 3,
                                               .activation = kLeaky,
                                               .slope = 0.2f}},
                                         Case{"Big5",
                                              {.batch = 1,
                                               .in_channels = 8,
                                               .in_height = 13,
                                               .in_width = 13,
                                               .out_channels = 8,
                                               .kernel_height = 5,
                                               .kernel_width = 5,
                                               .stride_height = 3,
                                               .stride_width = 3,
                                               .pad_top = 4,
                                               .pad_left = 4,
                                               .pad_bottom = 4,
                                               .pad_right = 4}}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace weft::kernel
