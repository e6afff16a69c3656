// Fast linear layers against the reference twin, from plain and from blocked images.

#include <gtest/gtest.h>

#include "kernel/test_runner.h"

namespace weft::kernel {
namespace {

struct Case {
  const char* name;
  LinearDesc desc;
};

void ExpectTwins(const LinearDesc& d, const Layout& hint, int threads = 1) {
  const auto fast = TestBackend("onednn", threads);
  const auto slow = TestBackend("reference");
  const Floats src = RandomFloats(d.src.elements(), 1);
  const Floats weights = RandomFloats(d.weights_shape().elements(), 2);
  const Floats bias = RandomFloats(d.out, 3);
  const Floats diff_dst = RandomFloats(d.dst_shape().elements(), 4);

  OpRunner forward(*fast, fast->LinearForward(d, hint));
  OpRunner want(*slow, slow->LinearForward(d, Layout()));
  for (OpRunner* runner : {&forward, &want}) {
    runner->Set("src", src).Set("weights", weights);
    if (d.bias) runner->Set("bias", bias);
    runner->Run();
  }
  EXPECT_LT(WorstDeviation(forward.Get("dst"), want.Get("dst")), 2e-6);
  EXPECT_EQ(forward.port("src").layout, hint.shape().rank() == 0 ? Layout(d.src) : hint);
  EXPECT_NE(forward.op().implementation(), "reference");

  OpRunner data(*fast, fast->LinearBackwardData(d, Layout(), hint));
  OpRunner want_data(*slow, slow->LinearBackwardData(d, Layout(), Layout()));
  for (OpRunner* runner : {&data, &want_data}) {
    runner->Set("diff_dst", diff_dst).Set("weights", weights).Run();
  }
  EXPECT_LT(WorstDeviation(data.Get("diff_src"), want_data.Get("diff_src")), 2e-6);

  const Layout at = forward.port("weights").layout;
  OpRunner gradient(*fast, fast->LinearBackwardWeights(d, hint, Layout(), at));
  OpRunner want_gradient(*slow, slow->LinearBackwardWeights(d, Layout(), Layout(), Layout()));
  for (OpRunner* runner : {&gradient, &want_gradient}) {
    runner->Set("src", src).Set("diff_dst", diff_dst).Run();
  }
  EXPECT_LT(WorstDeviation(gradient.Get("diff_weights"), want_gradient.Get("diff_weights")), 5e-6);
  if (d.bias) {
    EXPECT_LT(WorstDeviation(gradient.Get("diff_bias"), want_gradient.Get("diff_bias")), 5e-6);
  }
  // One layout of the weights for all passes, so that nothing is reordered and the update runs in
  // place.
  EXPECT_EQ(data.port("weights").layout, at);
  EXPECT_EQ(gradient.port("diff_weights").layout, at);
}

Layout HintFor(const LinearDesc& d) { return d.src.rank() == 4 ? BlockedAs(d.src) : Layout(d.src); }

class LinearTwinTest : public testing::TestWithParam<Case> {};

TEST_P(LinearTwinTest, FromPlain) { ExpectTwins(GetParam().desc, Layout()); }

TEST_P(LinearTwinTest, FromBlocked) { ExpectTwins(GetParam().desc, HintFor(GetParam().desc)); }

TEST(LinearThreadsTest, TwinsAgree) {
  ExpectTwins({.batch = 7, .src = {7, 31}, .out = 13, .activation = Activation::kRelu}, Layout(),
              2);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, LinearTwinTest,
    testing::Values(
        Case{"One", {.batch = 1, .src = {1, 1}, .out = 1}},
        Case{"Primes", {.batch = 7, .src = {7, 31}, .out = 13, .activation = Activation::kRelu}},
        Case{"NoBias", {.batch = 5, .src = {5, 64}, .out = 10, .bias = false}},
        Case{"NoBiasLeaky",
             {.batch = 5,
              .src = {5, 64},
              .out = 10,
              .bias = false,
              .activation = Activation::kLeakyRelu,
              .slope = 0.3f}},
        Case{"Pixel", {.batch = 4, .src = {4, 32, 1, 1}, .out = 10}},
        Case{"Image",
             {.batch = 3, .src = {3, 16, 5, 5}, .out = 120, .activation = Activation::kRelu}},
        Case{"PaddedImage", {.batch = 3, .src = {3, 6, 3, 2}, .out = 17}},
        Case{"PaddedPixel", {.batch = 2, .src = {2, 17, 1, 1}, .out = 3}},
        Case{"Wide", {.batch = 2, .src = {2, 8, 4, 4}, .out = 257}}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace weft::kernel
