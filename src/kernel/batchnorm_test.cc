// Fast batch normalisation against the reference twin, plain and blocked, with and without relu.

#include <gtest/gtest.h>

#include "kernel/test_runner.h"

namespace weft::kernel {
namespace {

struct Case {
  const char* name;
  Shape src;
};

class BatchnormTwinTest : public testing::TestWithParam<std::tuple<Case, bool, bool>> {
 protected:
  BatchnormDesc desc_{.src = std::get<0>(GetParam()).src, .relu = std::get<1>(GetParam())};
  Layout hint_ =
      std::get<2>(GetParam()) && desc_.src.rank() == 4 ? BlockedAs(desc_.src) : Layout(desc_.src);
  std::unique_ptr<Backend> fast_ = TestBackend("onednn");
  std::unique_ptr<Backend> slow_ = TestBackend("reference");
  int64_t channels_ = desc_.src[1];
  Floats src_ = RandomFloats(desc_.src.elements(), 1, 3.0);
  Floats gamma_ = RandomFloats(channels_, 2);
  Floats beta_ = RandomFloats(channels_, 3);

  OpRunner Forward(Backend& backend, bool in_place = false) {
    OpRunner runner(backend, backend.BatchnormForward(desc_, hint_));
    runner.Set("src", src_).Set("gamma", gamma_).Set("beta", beta_);
    if (in_place) runner.InPlace("dst");
    runner.Run();
    return runner;
  }

  OpRunner Backward(Backend& backend, bool in_place = false) {
    const OpRunner forward = Forward(backend);
    OpRunner runner(backend, backend.BatchnormBackward(desc_, hint_, hint_));
    runner.Set("src", src_).Set("gamma", gamma_);
    runner.Set("mean", forward.Get("mean")).Set("variance", forward.Get("variance"));
    runner.Set("diff_dst", RandomFloats(desc_.src.elements(), 4));
    if (desc_.relu) runner.SetBytes("workspace", forward.memory("workspace"));
    if (in_place) runner.InPlace("diff_src");
    runner.Run();
    return runner;
  }
};

TEST_P(BatchnormTwinTest, Forward) {
  const OpRunner got = Forward(*fast_);
  const OpRunner want = Forward(*slow_);
  EXPECT_NE(got.op().implementation(), "reference");
  EXPECT_EQ(got.port("dst").layout, hint_);
  for (const char* name : {"dst", "mean", "variance"}) {
    EXPECT_LT(WorstDeviation(got.Get(name), want.Get(name)), 5e-6) << name;
  }
}

TEST_P(BatchnormTwinTest, Inference) {
  Floats dst[2];
  Backend* const backends[] = {fast_.get(), slow_.get()};
  for (int i = 0; i < 2; ++i) {
    OpRunner runner(*backends[i], backends[i]->BatchnormInference(desc_, hint_));
    Floats variance = RandomFloats(channels_, 6);
    for (float& value : variance) value = value * value + 0.1f;
    runner.Set("src", src_).Set("gamma", gamma_).Set("beta", beta_).Set("variance", variance);
    dst[i] = runner.Set("mean", RandomFloats(channels_, 5)).Run().Get("dst");
  }
  EXPECT_LT(WorstDeviation(dst[0], dst[1]), 5e-6);
}

TEST_P(BatchnormTwinTest, Backward) {
  const OpRunner got = Backward(*fast_);
  const OpRunner want = Backward(*slow_);
  EXPECT_EQ(got.port("diff_src").layout, hint_);
  for (const char* name : {"diff_src", "diff_gamma", "diff_beta"}) {
    EXPECT_LT(WorstDeviation(got.Get(name), want.Get(name)), 2e-5) << name;
  }
}

TEST_P(BatchnormTwinTest, InPlaceChangesNothing) {
  for (Backend* backend : {fast_.get(), slow_.get()}) {
    EXPECT_EQ(Forward(*backend, true).Get("dst"), Forward(*backend).Get("dst"));
    EXPECT_EQ(Backward(*backend, true).Get("diff_src"), Backward(*backend).Get("diff_src"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, BatchnormTwinTest,
    testing::Combine(testing::Values(Case{"Features", {7, 13}}, Case{"Six", {4, 6, 5, 3}},
                                     Case{"Eight", {2, 8, 4, 4}}, Case{"Odd", {3, 17, 7, 5}},
                                     Case{"Pixel", {5, 16, 1, 1}}, Case{"OddPixel", {5, 3, 1, 1}},
                                     Case{"Vgg", {4, 64, 8, 8}}),
                     testing::Bool(), testing::Bool()),
    [](const auto& param) {
      return std::string(std::get<0>(param.param).name) + (std::get<1>(param.param) ? "Relu" : "") +
             (std::get<2>(param.param) ? "Blocked" : "Plain");
    });

}  // namespace
}  // namespace weft::kernel
