#include "kernel/backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/onednn_layout.h"
#include "kernel/test_runner.h"

namespace weft::kernel {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

ConvDesc SmallConv() {
  return {.batch = 2,
          .in_channels = 16,
          .in_height = 8,
          .in_width = 6,
          .out_channels = 24,
          .kernel_height = 3,
          .kernel_width = 3,
          .stride_height = 2,
          .stride_width = 1,
          .pad_top = 1,
          .pad_left = 1,
          .pad_bottom = 0,
          .pad_right = 2};
}

std::string Refusal(const Backend::OpResult& result) {
  EXPECT_EQ(result.status().code(), Code::kInvalidArgument);
  return result.status().message();
}

TEST(DescTest, ShapesFollow) {
  const ConvDesc d = SmallConv();
  EXPECT_EQ(d.dst_shape(), (Shape{2, 24, 4, 7}));
  EXPECT_EQ(d.weights_shape(), (Shape{24, 16, 3, 3}));
  EXPECT_EQ(d.flops(), 2.0 * (2 * 24 * 4 * 7) * (16 * 9));
  const LinearDesc linear{.batch = 3, .src = {3, 4, 2, 2}, .out = 5};
  EXPECT_EQ(linear.weights_shape(), (Shape{5, 16}));
  EXPECT_EQ(linear.flops(), 2.0 * 3 * 5 * 16);
  const PoolDesc pool{.src = {1, 2, 7, 7},
                      .kernel_height = 3,
                      .kernel_width = 2,
                      .stride_height = 2,
                      .stride_width = 2,
                      .pad_top = 1};
  EXPECT_EQ(pool.dst_shape(), (Shape{1, 2, 3, 3}));
}

TEST(BackendTest, NamesAndUnknownNames) {
  EXPECT_EQ(TestBackend("auto")->name(), "onednn");
  for (const std::string& name : BackendNames()) EXPECT_EQ(TestBackend(name)->name(), name);
  const auto wrong = MakeBackend("onednm", {});
  EXPECT_EQ(wrong.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(wrong.status().message(), HasSubstr("did you mean \"onednn\"?"));
  EXPECT_THAT(MakeBackend("auto", {.threads = 0}).status().message(),
              HasSubstr("threads: got 0, want at least 1"));
}

TEST(BackendTest, ChainTakesTheFirstThatDoesNotRefuse) {
  const auto backend = TestBackend("auto");
  EXPECT_THAT(backend->ConvForward(SmallConv(), {}).value()->implementation(),
              StartsWith("onednn:"));
  EXPECT_THAT(backend->Add(Layout(Shape{4, 4})).value()->implementation(), StartsWith("simd:"));
  EXPECT_EQ(backend->SoftmaxCrossEntropy({2, 3}).value()->implementation(), "reference");
  EXPECT_EQ(TestBackend("reference")->ConvForward(SmallConv(), {}).value()->implementation(),
            "reference");
}

TEST(BackendTest, ReferenceAsksForPlainWhateverTheHint) {
  const ConvDesc d = SmallConv();
  const Layout blocked = BlockedAs(d.src_shape());
  ASSERT_FALSE(blocked.plain());
  const auto op = TestBackend("reference")->ConvForward(d, blocked).value();
  for (const Port& port : op->ports()) EXPECT_TRUE(port.layout.plain()) << port.name;
}

TEST(BackendTest, ErrorsNameWhatWasGotAndWanted) {
  const auto backend = TestBackend("auto");
  ConvDesc d = SmallConv();
  d.groups = 5;
  EXPECT_EQ(Refusal(backend->ConvForward(d, {})),
            "conv: groups: got 5, want a divisor of in_channels 16 and out_channels 24");
  d = SmallConv();
  d.kernel_height = 10;
  EXPECT_EQ(Refusal(backend->ConvBackwardData(d, {}, {})),
            "conv: kernel_height: got 10, want at most 9 (the padded src)");
  d = SmallConv();
  d.stride_width = 0;
  EXPECT_EQ(Refusal(backend->ConvBackwardWeights(d, {}, {}, {})),
            "conv: stride_width: got 0, want at least 1");
  EXPECT_EQ(Refusal(backend->ConvForward(SmallConv(), Layout(Shape{2, 16, 8, 8}))),
            "conv: src: got 2x16x8x8 plain, want 2x16x8x6");
  EXPECT_EQ(Refusal(backend->LinearForward({.batch = 3, .src = {2, 5}, .out = 4}, {})),
            "linear: src: got 2x5, want 3xC or 3xCxHxW");
  EXPECT_THAT(Refusal(backend->BatchnormForward({.src = {2, 3, 4}}, {})), HasSubstr("2x3x4"));
  EXPECT_EQ(Refusal(backend->PoolForward({.src = {1, 1, 4, 4},
                                          .kernel_height = 2,
                                          .kernel_width = 2,
                                          .stride_height = 2,
                                          .stride_width = 2,
                                          .pad_left = 2},
                                         {}, true)),
            "pool: pad_left: got 2, want 0..1 (below the kernel)");
  EXPECT_EQ(Refusal(backend->DropoutForward({.src = {1, 2}, .rate = 1})),
            "dropout: rate: got 1, want 0 to below 1");
  EXPECT_EQ(Refusal(backend->SoftmaxCrossEntropy({4, 0})), "loss: classes: got 0, want at least 1");
  EXPECT_EQ(Refusal(backend->Reorder(Layout(Shape{2, 3}), Layout(Shape{3, 2}))),
            "reorder: dst: got 3x2 plain, want 2x3");
}

TEST(LayoutTest, BlockedThatIsRowMajorIsPlain) {
  EXPECT_TRUE(BlockedAs({4, 16, 1, 1}).plain());  // 8 channels of one pixel lie side by side anyway
  EXPECT_FALSE(BlockedAs({4, 16, 2, 2}).plain());
  EXPECT_FALSE(BlockedAs({4, 6, 1, 1}).plain());  // padded to a block
  EXPECT_FALSE(BlockedAs({1, 17, 1, 1}).plain());
  EXPECT_EQ(BlockedAs({4, 6, 3, 3}), BlockedAs({4, 6, 3, 3}));
  EXPECT_FALSE(BlockedAs({4, 6, 3, 3}) == Layout(Shape{4, 6, 3, 3}));
  const Layout padded = BlockedAs({4, 6, 3, 3});
  EXPECT_EQ(padded.bytes(), sizeof(float) * 4 * 9 * static_cast<size_t>(ChannelBlockOf(padded)));
}

TEST(ReorderTest, ThereAndBackChangesNothing) {
  const auto backend = TestBackend("auto");
  for (const Shape& shape : {Shape{2, 6, 5, 3}, Shape{1, 17, 1, 2}, Shape{3, 16, 4, 4}}) {
    const Layout blocked = BlockedAs(shape);
    ASSERT_FALSE(blocked.plain());
    const Floats values = RandomFloats(shape.elements(), 1);
    OpRunner there(*backend, backend->Reorder(Layout(shape), blocked));
    there.Set("src", values).Run();
    OpRunner back(*backend, backend->Reorder(blocked, Layout(shape)));
    back.SetBytes("src", there.memory("dst")).Run();
    EXPECT_EQ(back.Get("dst"), values);
  }
}

}  // namespace
}  // namespace weft::kernel
