// Fast pooling against the reference twin, plain and blocked.

#include <gtest/gtest.h>

#include "kernel/test_runner.h"

namespace weft::kernel {
namespace {

struct Case {
  const char* name;
  PoolDesc desc;
};

using Kind = PoolDesc::Kind;

class PoolTwinTest : public testing::TestWithParam<std::tuple<Case, Kind, bool>> {
 protected:
  PoolTwinTest() { desc_.kind = std::get<1>(GetParam()); }

  bool max() const { return desc_.kind == Kind::kMax; }

  PoolDesc desc_ = std::get<0>(GetParam()).desc;
  Layout hint_ = std::get<2>(GetParam()) ? BlockedAs(desc_.src) : Layout(desc_.src);
  std::unique_ptr<Backend> fast_ = TestBackend("onednn");
  std::unique_ptr<Backend> slow_ = TestBackend("reference");
  Floats src_ = RandomFloats(desc_.src.elements(), 1);

  OpRunner Forward(Backend& backend, bool training) {
    OpRunner runner(backend, backend.PoolForward(desc_, hint_, training));
    runner.Set("src", src_).Run();
    return runner;
  }

  Floats Backward(Backend& backend) {
    const OpRunner forward = Forward(backend, true);
    OpRunner runner(backend, backend.PoolBackward(desc_, forward.port("dst").layout,
                                                  forward.port("src").layout));
    if (max()) runner.SetBytes("workspace", forward.memory("workspace"));
    EXPECT_EQ(runner.port("diff_dst").layout, forward.port("dst").layout);
    EXPECT_EQ(runner.port("diff_src").layout, forward.port("src").layout);
    runner.Set("diff_dst", RandomFloats(desc_.dst_shape().elements(), 2));
    return runner.Run().Get("diff_src");
  }
};

TEST_P(PoolTwinTest, Forward) {
  for (bool training : {false, true}) {
    const OpRunner got = Forward(*fast_, training);
    EXPECT_EQ(got.op().ports().size(), training && max() ? 3u : 2u);
    EXPECT_EQ(got.port("src").layout, hint_);
    EXPECT_LT(WorstDeviation(got.Get("dst"), Forward(*slow_, training).Get("dst")), 2e-6);
  }
}

TEST_P(PoolTwinTest, Backward) {
  EXPECT_LT(WorstDeviation(Backward(*fast_), Backward(*slow_)), 2e-6);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PoolTwinTest,
                         testing::Combine(testing::Values(Case{"Two",
                                                               {.src = {2, 6, 8, 8},
                                                                .kernel_height = 2,
                                                                .kernel_width = 2,
                                                                .stride_height = 2,
                                                                .stride_width = 2}},
                                                          Case{"Cut",
                                                               {.src = {2, 17, 7, 5},
                                                                .kernel_height = 2,
                                                                .kernel_width = 2,
                                                                .stride_height = 2,
                                                                .stride_width = 2}},
                                                          Case{"Overlap",
                                                               {.src = {2, 16, 9, 9},
                                                                .kernel_height = 3,
                                                                .kernel_width = 3,
                                                                .stride_height = 2,
                                                                .stride_width = 2,
                                                                .pad_top = 1,
                                                                .pad_left = 1,
                                                                .pad_bottom = 1,
                                                                .pad_right = 1}},
                                                          Case{"Uneven",
                                                               {.src = {1, 3, 10, 7},
                                                                .kernel_height = 3,
                                                                .kernel_width = 2,
                                                                .stride_height = 1,
                                                                .stride_width = 3,
                                                                .pad_top = 2,
                                                                .pad_left = 0,
                                                                .pad_bottom = 0,
                                                                .pad_right = 1}},
                                                          Case{"Global",
                                                               {.src = {3, 24, 4, 4},
                                                                .kernel_height = 4,
                                                                .kernel_width = 4,
                                                                .stride_height = 1,
                                                                .stride_width = 1}},
                                                          Case{"Identity",
                                                               {.src = {1, 8, 3, 3},
                                                                .kernel_height = 1,
                                                                .kernel_width = 1,
                                                                .stride_height = 1,
                                                                .stride_width = 1}}),
                                          testing::Values(Kind::kMax, Kind::kAverage),
                                          testing::Bool()),
                         [](const auto& param) {
                           return std::string(std::get<0>(param.param).name) +
                                  (std::get<1>(param.param) == Kind::kMax ? "Max" : "Average") +
                                  (std::get<2>(param.param) ? "Blocked" : "Plain");
                         });

}  // namespace
}  // namespace weft::kernel
