// Convolutions, pooling and reorders with samples as lanes against the reference twin, over odd
// shapes and every instruction set.

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include "kernel/lane_backend.h"
#include "kernel/lane_layout.h"
#include "kernel/onednn_layout.h"
#include "kernel/test_runner.h"

namespace weft::kernel {
namespace {

struct Case {
  const char* name;
  ConvDesc desc;
};

ConvDesc Describe(int64_t batch, int64_t in, int64_t out, int64_t height, int64_t width,
                  int64_t kernel_height, int64_t kernel_width) {
  return {.batch = batch,
          .in_channels = in,
          .in_height = height,
          .in_width = width,
          .out_channels = out,
          .kernel_height = kernel_height,
          .kernel_width = kernel_width};
}

ConvDesc Padded(ConvDesc d, int64_t top, int64_t left, int64_t bottom, int64_t right) {
  d.pad_top = top;
  d.pad_left = left;
  d.pad_bottom = bottom;
  d.pad_right = right;
  return d;
}

ConvDesc Strided(ConvDesc d, int64_t height, int64_t width) {
  d.stride_height = height;
  d.stride_width = width;
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
      {"LenetFirst", Padded(Describe(32, 1, 6, 28, 28, 5, 5), 2, 2, 2, 2)},
      {"LenetSecond", Describe(16, 6, 16, 14, 14, 5, 5)},
      {"EmptyLanes", Padded(Describe(29, 3, 5, 7, 11, 3, 3), 1, 1, 1, 1)},
      {"Relu", Activated(Padded(Describe(13, 2, 7, 6, 9, 3, 3), 1, 1, 1, 1), Activation::kRelu)},
      {"Leaky", Activated(Describe(16, 4, 3, 5, 13, 3, 5), Activation::kLeakyRelu, 0.1f)},
      {"OnePixel", Describe(16, 3, 4, 3, 3, 3, 3)},
      {"OneChannel", Unbiased(Padded(Describe(16, 1, 1, 8, 1, 9, 1), 4, 0, 4, 0))},
      {"UnevenPadding", Padded(Describe(15, 3, 2, 5, 6, 4, 3), 0, 2, 3, 1)},
      {"PaddingBeyondKernel", Padded(Describe(16, 2, 3, 4, 4, 3, 3), 4, 3, 3, 4)},
      {"WideKernel", Padded(Describe(16, 2, 3, 5, 4, 1, 11), 0, 5, 0, 5)},
      {"ManyChannels", Padded(Describe(16, 16, 13, 5, 7, 3, 3), 1, 1, 1, 1)},
      {"Strided", Strided(Padded(Describe(16, 1, 11, 19, 10, 10, 4), 5, 1, 5, 1), 2, 2)},
      {"StridedOverTheEnd", Strided(Padded(Describe(31, 3, 4, 10, 11, 3, 3), 1, 1, 0, 0), 3, 2)},
  };
}

struct Passes {
  Floats dst, diff_src, diff_weights, diff_bias;
};

bool HasDataGradient(const ConvDesc& d) { return d.stride_height == 1 && d.stride_width == 1; }

// All passes on the same random numbers; `lanes`: images arrive with lanes, else plain.
Passes RunAll(Backend& edges, Backend& tested, const ConvDesc& d, bool lanes) {
  const auto image = [&](const Shape& s) { return lanes ? LaneLayout(s) : Layout(s); };
  const Floats src = RandomFloats(d.src_shape().elements(), 1);
  const Floats weights = RandomFloats(d.weights_shape().elements(), 2);
  const Floats diff_dst = RandomFloats(d.dst_shape().elements(), 4);
  Passes passes;
  OpRunner forward(edges, tested.ConvForward(d, image(d.src_shape())));
  forward.Set("src", src).Set("weights", weights);
  if (d.bias) forward.Set("bias", RandomFloats(d.out_channels, 3));
  passes.dst = forward.Run().Get("dst");
  if (HasDataGradient(d)) {
    OpRunner data(edges, tested.ConvBackwardData(d, image(d.dst_shape()), image(d.src_shape())));
    passes.diff_src = data.Set("diff_dst", diff_dst).Set("weights", weights).Run().Get("diff_src");
  }
  OpRunner gradient(
      edges, tested.ConvBackwardWeights(d, image(d.src_shape()), image(d.dst_shape()), Layout()));
  gradient.Set("src", src).Set("diff_dst", diff_dst).Run();
  passes.diff_weights = gradient.Get("diff_weights");
  if (d.bias) passes.diff_bias = gradient.Get("diff_bias");
  return passes;
}

LaneBackend MakeLanes(int threads) { return {BackendOptions{threads}, TestBackend("onednn")}; }

void ExpectTwins(const ConvDesc& d, int threads) {
  SCOPED_TRACE(testing::Message() << threads << " threads");
  const auto edges = TestBackend("onednn");
  const auto slow = TestBackend("reference");
  LaneBackend fast = MakeLanes(threads);
  const Passes got = RunAll(*edges, fast, d, true);
  const Passes want = RunAll(*slow, *slow, d, false);
  EXPECT_LT(WorstDeviation(got.dst, want.dst), 2e-6);
  EXPECT_LT(WorstDeviation(got.diff_src, want.diff_src), 2e-6);  // both empty with a stride
  EXPECT_LT(WorstDeviation(got.diff_weights, want.diff_weights), 3e-6);
  EXPECT_LT(WorstDeviation(got.diff_bias, want.diff_bias), 3e-6);  // both empty without a bias
}

class LaneTwinTest : public testing::TestWithParam<Case> {};

TEST_P(LaneTwinTest, MatchesReference) {
  for (const int threads : {1, 3}) ExpectTwins(GetParam().desc, threads);
}

INSTANTIATE_TEST_SUITE_P(Shapes, LaneTwinTest, testing::ValuesIn(Cases()),
                         [](const auto& at) { return at.param.name; });

TEST(LaneTargetsTest, EveryInstructionSetMatchesReference) {
  for (const auto target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    SCOPED_TRACE(hwy::TargetName(target));
    ExpectTwins(Padded(Describe(29, 3, 11, 9, 13, 5, 5), 2, 2, 2, 2), 2);
    ExpectTwins(Strided(Padded(Describe(13, 2, 5, 9, 14, 3, 7), 1, 3, 1, 3), 2, 2), 1);
    hwy::SetSupportedTargetsForTest(0);
  }
}

TEST(LaneTest, SameThreadsSameBits) {
  const ConvDesc d = Padded(Describe(64, 2, 6, 9, 9, 3, 3), 1, 1, 1, 1);
  const auto edges = TestBackend("onednn");
  LaneBackend fast = MakeLanes(3);
  const Passes first = RunAll(*edges, fast, d, true);
  const Passes second = RunAll(*edges, fast, d, true);
  EXPECT_EQ(first.dst, second.dst);
  EXPECT_EQ(first.diff_src, second.diff_src);
  EXPECT_EQ(first.diff_weights, second.diff_weights);
  EXPECT_EQ(first.diff_bias, second.diff_bias);
}

TEST(LaneTest, TakesByShapeAndLayout) {
  LaneBackend backend = MakeLanes(1);
  const auto code = [&](const ConvDesc& d, const Layout& src) {
    const auto op = backend.ConvForward(d, src);
    return op.ok() ? base::Code::kOk : op.status().code();
  };
  const auto lanes = [&](const ConvDesc& d) { return code(d, LaneLayout(d.src_shape())); };
  const auto plain = [&](const ConvDesc& d) { return code(d, Layout(d.src_shape())); };
  const ConvDesc first = Describe(64, 1, 6, 28, 28, 5, 5),
                 second = Describe(64, 6, 16, 14, 14, 5, 5);
  EXPECT_EQ(plain(first), base::Code::kOk);
  EXPECT_EQ(lanes(second), base::Code::kOk);
  EXPECT_EQ(plain(second), base::Code::kUnimplemented);
  EXPECT_EQ(code(first, ImageLayout(first.src_shape(), 8)), base::Code::kUnimplemented);
  EXPECT_EQ(lanes(Describe(64, 6, 16, 14, 14, 2, 4)), base::Code::kUnimplemented);
  EXPECT_EQ(lanes(Describe(64, 17, 8, 14, 14, 3, 3)), base::Code::kUnimplemented);
  EXPECT_EQ(lanes(Describe(64, 16, 16, 14, 14, 3, 3)), base::Code::kUnimplemented);
  EXPECT_EQ(lanes(Describe(11, 6, 16, 14, 14, 5, 5)), base::Code::kUnimplemented);
  EXPECT_EQ(lanes(Describe(12, 6, 16, 14, 14, 5, 5)), base::Code::kOk);
  ConvDesc grouped = second;
  grouped.groups = 2;
  EXPECT_EQ(lanes(grouped), base::Code::kUnimplemented);
}

// Other backends meet the layout as a hint, and answer with one of their own.
TEST(LaneTest, OtherBackendsTakeTheHint) {
  const Shape shape = {16, 40, 6, 6};
  const auto onednn = TestBackend("onednn");
  const auto reference = TestBackend("reference");
  ConvDesc conv = Describe(16, 40, 8, 6, 6, 3, 3);
  const Floats src = RandomFloats(shape.elements(), 1);
  const Floats weights = RandomFloats(conv.weights_shape().elements(), 2);
  conv.bias = false;
  const auto convolve = [&](Backend& backend, const Layout& layout) {
    return OpRunner(*onednn, backend.ConvForward(conv, layout))
        .Set("src", src)
        .Set("weights", weights)
        .Run()
        .Get("dst");
  };
  EXPECT_LT(
      WorstDeviation(convolve(*onednn, LaneLayout(shape)), convolve(*reference, Layout(shape))),
      2e-6);
  const PoolDesc pool = {PoolDesc::Kind::kAverage, shape, 2, 2, 2, 2, 0, 0, 0, 0};
  EXPECT_TRUE(onednn->PoolForward(pool, LaneLayout(shape), true).ok());
  EXPECT_TRUE(onednn->BatchnormForward({shape}, LaneLayout(shape)).ok());
  EXPECT_TRUE(onednn->LinearForward({.batch = 16, .src = shape, .out = 3}, LaneLayout(shape)).ok());
}

TEST(LanePoolTest, MatchesReference) {
  const auto fast = TestBackend("onednn", 2);
  const auto slow = TestBackend("reference");
  const PoolDesc tiles = {PoolDesc::Kind::kMax, {21, 3, 8, 6}, 2, 2, 2, 2, 0, 0, 0, 0};
  const PoolDesc overlap = {PoolDesc::Kind::kMax, {16, 5, 7, 9}, 3, 2, 2, 1, 1, 0, 1, 1};
  for (const PoolDesc& d : {tiles, overlap}) {
    const Floats src = RandomFloats(d.src.elements(), 1);
    const Floats diff_dst = RandomFloats(d.dst_shape().elements(), 2);
    const auto run = [&](Backend& backend, const Layout& layout) {
      OpRunner forward(*fast, backend.PoolForward(d, layout, true));
      forward.Set("src", src).Run();
      OpRunner backward(*fast, backend.PoolBackward(d, forward.port("dst").layout, layout));
      backward.SetBytes("workspace", forward.memory("workspace")).Set("diff_dst", diff_dst).Run();
      EXPECT_EQ(backward.port("diff_src").layout, layout);
      return std::make_pair(forward.Get("dst"), backward.Get("diff_src"));
    };
    const auto got = run(*fast, LaneLayout(d.src));
    const auto want = run(*slow, Layout(d.src));
    EXPECT_EQ(got.first, want.first);
    EXPECT_LT(WorstDeviation(got.second, want.second), 1e-6);
  }
}

// From `from` to `to` and back, the numbers as they were.
void ExpectRoundTrip(const Layout& from, const Layout& to) {
  SCOPED_TRACE(from.ToString() + " to " + to.ToString());
  const auto edges = TestBackend("onednn");
  LaneBackend lanes = MakeLanes(2);
  const Floats values = RandomFloats(from.shape().elements(), 1);
  const Floats there =
      OpRunner(*edges, lanes.Reorder(from, to)).Set("src", values).Run().Get("dst");
  EXPECT_EQ(there, values);
}

TEST(LaneReorderTest, KeepsNumbers) {
  for (const auto target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{16, 1, 4, 4}, Shape{35, 3, 5, 7},
                               Shape{33, 9, 2, 3}, Shape{64, 20, 1, 5}}) {
      for (const Layout& other : {Layout(shape), ImageLayout(shape, 8), ImageLayout(shape, 16)}) {
        ExpectRoundTrip(other, LaneLayout(shape));
        ExpectRoundTrip(LaneLayout(shape), other);
      }
    }
    hwy::SetSupportedTargetsForTest(0);
  }
}

// The memory is [N / 16][C][H][W][16], so that the round trips above cannot hide an error in both.
TEST(LaneReorderTest, PutsSamplesSideBySide) {
  const Shape shape = {18, 2, 1, 3};
  tensor::Arena plain(Layout(shape).bytes()), lanes(LaneLayout(shape).bytes());
  EXPECT_EQ(lanes.size(), 2 * 6 * 16 * sizeof(float));
  for (int i = 0; i < 18 * 6; ++i) plain.floats(0)[i] = static_cast<float>(i + 1);
  LaneBackend backend = MakeLanes(1);
  void* const args[] = {plain.data(), lanes.data()};
  const auto op = backend.Reorder(Layout(shape), LaneLayout(shape)).value();
  op->Bind(args, nullptr)->Run();
  for (int n = 0; n < 32; ++n) {
    for (int i = 0; i < 6; ++i) {
      const float want = n < 18 ? static_cast<float>(n * 6 + i + 1) : 0.0f;
      EXPECT_EQ(lanes.floats(0)[(n / 16 * 6 + i) * 16 + n % 16], want) << n << " " << i;
    }
  }
}

}  // namespace
}  // namespace weft::kernel
