// Batch normalisation on the SIMD loops against a double-precision computation written here.

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <limits>

#include "kernel/lane_layout.h"
#include "kernel/onednn_layout.h"
#include "kernel/simd_backend.h"
#include "kernel/simd_loops.h"
#include "kernel/test_runner.h"

namespace weft::kernel {
namespace {

using Doubles = std::vector<double>;

// A tensor (N, C, ...) as pairs (channel, index).
template <class Body>
void ForEachElement(const Shape& shape, const Body& body) {
  const int64_t plane = shape.elements() / (shape[0] * shape[1]);
  for (int64_t i = 0; i < shape.elements(); ++i) {
    body(static_cast<size_t>(i / plane % shape[1]), static_cast<size_t>(i));
  }
}

double PixelsPerChannel(const Shape& shape) {
  return static_cast<double>(shape.elements() / shape[1]);
}

struct Exact {
  Doubles mean, variance, dst, diff_src, diff_gamma, diff_beta;
};

// What the Ops get. The backward pass gets float statistics, as in training.
struct Problem {
  BatchnormDesc desc;
  Floats src, gamma, beta, diff_dst;

  Problem(const Shape& shape, bool relu, double mean = 0.3, double deviation = 2)
      : desc{.src = shape, .relu = relu},
        src(RandomFloats(shape.elements(), 1, deviation)),
        gamma(RandomFloats(shape[1], 2)),
        beta(RandomFloats(shape[1], 3)),
        diff_dst(RandomFloats(shape.elements(), 4)) {
    for (float& x : src) x = static_cast<float>(x + mean);
  }

  Exact Solve() const {
    const auto channels = static_cast<size_t>(desc.src[1]);
    const double m = PixelsPerChannel(desc.src);
    Exact e{Doubles(channels),   Doubles(channels), Doubles(src.size()),
            Doubles(src.size()), Doubles(channels), Doubles(channels)};
    ForEachElement(desc.src, [&](size_t c, size_t i) { e.mean[c] += src[i] / m; });
    ForEachElement(desc.src, [&](size_t c, size_t i) {
      e.variance[c] += (src[i] - e.mean[c]) * (src[i] - e.mean[c]) / m;
    });
    const auto normal = [&](size_t c, size_t i) {
      return (src[i] - e.mean[c]) / std::sqrt(e.variance[c] + desc.eps);
    };
    Doubles g(src.size());
    ForEachElement(desc.src, [&](size_t c, size_t i) {
      e.dst[i] = normal(c, i) * gamma[c] + beta[c];
      const bool cut = desc.relu && e.dst[i] <= 0;
      if (cut) e.dst[i] = 0;
      g[i] = cut ? 0 : diff_dst[i];
      e.diff_beta[c] += g[i];
      e.diff_gamma[c] += g[i] * normal(c, i);
    });
    ForEachElement(desc.src, [&](size_t c, size_t i) {
      e.diff_src[i] = gamma[c] / std::sqrt(e.variance[c] + desc.eps) *
                      (g[i] - (e.diff_beta[c] + normal(c, i) * e.diff_gamma[c]) / m);
    });
    return e;
  }
};

// Largest difference as a share of the largest wanted value, or of `scale` if that is more.
double Deviation(const Floats& got, const Doubles& want, double scale = 1e-30) {
  EXPECT_EQ(got.size(), want.size());
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    if (!std::isfinite(got[i])) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, std::abs(got[i] - want[i]));
    scale = std::max(scale, std::abs(want[i]));
  }
  return worst / scale;
}

// Makes the Ops with the SIMD backend alone; what it returns reorders with `fast_`, so it must live
// as long.
class Runs {
 public:
  Runs(const Problem& problem, const Layout& hint, int threads, bool in_place = false)
      : problem_(problem), hint_(hint), simd_({threads}), in_place_(in_place) {}

  OpRunner Forward() {
    OpRunner runner(*fast_, simd_.BatchnormForward(problem_.desc, hint_));
    runner.Set("src", problem_.src).Set("gamma", problem_.gamma).Set("beta", problem_.beta);
    if (in_place_) runner.InPlace("dst");
    runner.Run();
    return runner;
  }

  OpRunner Inference(const OpRunner& forward) {
    OpRunner runner(*fast_, simd_.BatchnormInference(problem_.desc, hint_));
    runner.Set("src", problem_.src).Set("gamma", problem_.gamma).Set("beta", problem_.beta);
    runner.Set("mean", forward.Get("mean")).Set("variance", forward.Get("variance"));
    if (in_place_) runner.InPlace("dst");
    runner.Run();
    return runner;
  }

  OpRunner Backward(const OpRunner& forward) {
    OpRunner runner(*fast_, simd_.BatchnormBackward(problem_.desc, hint_, hint_));
    runner.Set("src", problem_.src).Set("gamma", problem_.gamma);
    runner.Set("mean", forward.Get("mean")).Set("variance", forward.Get("variance"));
    runner.Set("diff_dst", problem_.diff_dst);
    if (problem_.desc.relu) runner.SetBytes("workspace", forward.memory("workspace"));
    if (in_place_) runner.InPlace("diff_src");
    runner.Run();
    return runner;
  }

 private:
  const Problem& problem_;
  Layout hint_;
  SimdBackend simd_;
  bool in_place_;
  std::unique_ptr<Backend> fast_ = TestBackend("onednn");
};

// Where a convolution would leave `shape` in blocks; plain for features.
Layout HintFor(const Shape& shape, bool blocked) {
  return blocked && shape.rank() == 4 ? BlockedAs(shape) : Layout(shape);
}

struct Case {
  const char* name;
  Shape src;
};

using Parameters = std::tuple<Case, bool, bool, int>;

class SimdBatchnormTest : public testing::TestWithParam<Parameters> {
 protected:
  Problem problem_{std::get<0>(GetParam()).src, std::get<1>(GetParam())};
  Layout hint_ = HintFor(problem_.desc.src, std::get<2>(GetParam()));
  int threads_ = std::get<3>(GetParam());
};

TEST_P(SimdBatchnormTest, MatchesDoubles) {
  const Exact want = problem_.Solve();
  Runs runs(problem_, hint_, threads_);
  const OpRunner forward = runs.Forward();
  EXPECT_EQ(forward.op().implementation(), std::string("simd:") + SimdTarget());
  EXPECT_EQ(forward.port("dst").layout, hint_);
  EXPECT_LT(Deviation(forward.Get("mean"), want.mean, 1), 2e-7);
  EXPECT_LT(Deviation(forward.Get("variance"), want.variance), 2e-7);
  EXPECT_LT(Deviation(forward.Get("dst"), want.dst), 1e-6);
  EXPECT_EQ(runs.Inference(forward).Get("dst"), forward.Get("dst"));
  const OpRunner backward = runs.Backward(forward);
  EXPECT_EQ(backward.port("diff_src").layout, hint_);
  // A single pixel has no gradient: what is left is the rounding of terms that cancel.
  const double term =
      PixelsPerChannel(problem_.desc.src) == 1 ? 1 / std::sqrt(problem_.desc.eps) : 1e-3;
  EXPECT_LT(Deviation(backward.Get("diff_src"), want.diff_src, term), 1e-6);
  // The sums cancel: measured against what random numbers of this count add up to.
  const double scale = std::sqrt(PixelsPerChannel(problem_.desc.src));
  EXPECT_LT(Deviation(backward.Get("diff_gamma"), want.diff_gamma, scale), 3e-7);
  EXPECT_LT(Deviation(backward.Get("diff_beta"), want.diff_beta, scale), 2e-7);
}

TEST_P(SimdBatchnormTest, InPlaceChangesNothing) {
  Runs apart(problem_, hint_, threads_);
  Runs over(problem_, hint_, threads_, true);
  const OpRunner forward = apart.Forward();
  EXPECT_EQ(over.Forward().Get("dst"), forward.Get("dst"));
  EXPECT_EQ(over.Inference(forward).Get("dst"), forward.Get("dst"));
  const OpRunner backward = over.Backward(forward);
  for (const char* name : {"diff_src", "diff_gamma", "diff_beta"}) {
    EXPECT_EQ(backward.Get(name), apart.Backward(forward).Get(name)) << name;
  }
}

std::string NameOf(const testing::TestParamInfo<Parameters>& info) {
  const auto& [shape, relu, blocked, threads] = info.param;
  return std::string(shape.name) + (relu ? "Relu" : "") + (blocked ? "Blocked" : "Plain") +
         std::to_string(threads);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, SimdBatchnormTest,
    testing::Combine(testing::Values(Case{"Features", {7, 13}}, Case{"WideFeatures", {130, 24}},
                                     Case{"OneSample", {1, 5}}, Case{"OnePixel", {1, 11, 1, 1}},
                                     Case{"Pixels", {5, 20, 1, 1}}, Case{"Small", {3, 8, 1, 3}},
                                     Case{"Odd", {3, 17, 7, 5}}, Case{"Rows", {9, 24, 4, 4}},
                                     Case{"LongPlane", {2, 6, 37, 31}},
                                     // Large enough for two threads: by blocks, and by samples.
                                     Case{"Blocks", {4, 32, 24, 24}},
                                     Case{"Samples", {5, 3, 71, 65}}),
                     testing::Bool(), testing::Bool(), testing::Values(1, 2)),
    NameOf);

Layout LayoutBy(const Shape& shape, memory::format_tag tag) {
  return LayoutOf(shape, {DimsOf(shape), memory::data_type::f32, tag});
}

// Threads enough to cut by samples too; 1 pixel, where the samples become groups.
TEST(SimdBatchnormLayoutTest, SamplesAsLanes) {
  for (const Shape& shape :
       {Shape{16, 3, 5, 7}, Shape{48, 5, 1, 1}, Shape{64, 2, 31, 37}, Shape{32, 17, 4, 3}}) {
    for (const int threads : {1, 3}) {
      const Problem problem(shape, threads == 3);
      const Exact want = problem.Solve();
      Runs runs(problem, LaneLayout(shape), threads);
      const OpRunner forward = runs.Forward();
      EXPECT_EQ(forward.port("dst").layout, LaneLayout(shape));
      EXPECT_LT(Deviation(forward.Get("mean"), want.mean, 1), 2e-7);
      EXPECT_LT(Deviation(forward.Get("variance"), want.variance), 2e-7);
      EXPECT_LT(Deviation(forward.Get("dst"), want.dst), 1e-6);
      EXPECT_EQ(runs.Inference(forward).Get("dst"), forward.Get("dst"));
      const OpRunner backward = runs.Backward(forward);
      EXPECT_LT(Deviation(backward.Get("diff_src"), want.diff_src, 1e-3), 1e-6);
      const double scale = std::sqrt(PixelsPerChannel(shape));
      EXPECT_LT(Deviation(backward.Get("diff_gamma"), want.diff_gamma, scale), 3e-7);
      EXPECT_LT(Deviation(backward.Get("diff_beta"), want.diff_beta, scale), 2e-7);
    }
  }
}

TEST(SimdBatchnormLayoutTest, AsksForPlainWhereLanesAreEmpty) {
  const Shape shape = {17, 3, 5, 7};
  const Problem problem(shape, true);
  Runs runs(problem, LaneLayout(shape), 1);
  EXPECT_EQ(runs.Forward().port("dst").layout, Layout(shape));
}

// Blocks of sixteen channels are a layout of wider machines; here they are made by hand.
TEST(SimdBatchnormLayoutTest, SixteenChannels) {
  const Problem problem({3, 21, 5, 3}, true);
  const Layout hint = LayoutBy(problem.desc.src, memory::format_tag::aBcd16b);
  const Exact want = problem.Solve();
  Runs runs(problem, hint, 1);
  const OpRunner forward = runs.Forward();
  EXPECT_EQ(forward.port("dst").layout, hint);
  EXPECT_LT(Deviation(forward.Get("dst"), want.dst), 1e-6);
  EXPECT_LT(Deviation(runs.Backward(forward).Get("diff_src"), want.diff_src), 1e-6);
}

TEST(SimdBatchnormLayoutTest, AsksForPlainInsteadOfWhatItCannotWalk) {
  const BatchnormDesc desc{.src = {3, 21, 5, 3}};
  const Layout channels_last = LayoutBy(desc.src, memory::format_tag::acdb);
  SimdBackend simd({1});
  const auto expect_plain = [&](const Backend::OpResult& op, int tensor) {
    EXPECT_EQ((*op)->ports()[static_cast<size_t>(tensor)].layout, Layout(desc.src));
  };
  expect_plain(simd.BatchnormForward(desc, channels_last), 3);
  expect_plain(simd.BatchnormInference(desc, channels_last), 5);
  expect_plain(simd.BatchnormBackward(desc, channels_last, channels_last), 5);
}

const Shape kSpreadShapes[] = {{8, 12, 17, 17}, {40, 9}, {2, 3, 128, 130}};

TEST(SimdBatchnormStatisticsTest, HoldFarFromZero) {
  for (const Shape& shape : kSpreadShapes) {
    for (const bool blocked : {false, true}) {
      const Problem problem(shape, false, 1000, 1);
      const Exact want = problem.Solve();
      Runs runs(problem, HintFor(shape, blocked), 2);
      const OpRunner forward = runs.Forward();
      EXPECT_LT(Deviation(forward.Get("mean"), want.mean), 1e-7) << shape.ToString();
      EXPECT_LT(Deviation(forward.Get("variance"), want.variance), 1e-6) << shape.ToString();
    }
  }
}

// One pixel far from all others, wherever it lies, must not spoil the sums of the others.
TEST(SimdBatchnormStatisticsTest, HoldWithAnOutlier) {
  for (const Shape& shape : kSpreadShapes) {
    for (const bool first : {false, true}) {
      Problem problem(shape, false, 5, 0.01);
      (first ? problem.src.front() : problem.src.back()) = -300;
      const Exact want = problem.Solve();
      Runs runs(problem, HintFor(shape, true), 1);
      const OpRunner forward = runs.Forward();
      EXPECT_LT(Deviation(forward.Get("variance"), want.variance), 1e-6) << shape.ToString();
    }
  }
}

TEST(SimdBatchnormThreadsTest, EqualNumbersGiveEqualBits) {
  for (const Shape& shape : {Shape{5, 3, 71, 65}, Shape{4, 32, 24, 24}}) {
    for (const int threads : {2, 3}) {
      const Problem problem(shape, true);
      Runs runs(problem, HintFor(shape, true), threads);
      const OpRunner forward = runs.Forward();
      const OpRunner backward = runs.Backward(forward);
      for (int again = 0; again < 3; ++again) {
        const OpRunner other = runs.Forward();
        EXPECT_EQ(other.Get("dst"), forward.Get("dst"));
        EXPECT_EQ(other.Get("variance"), forward.Get("variance"));
        EXPECT_EQ(runs.Backward(other).Get("diff_gamma"), backward.Get("diff_gamma"));
      }
    }
  }
}

// Narrower vectors cut a group, and the mask, into more pieces.
TEST(SimdBatchnormTargetsTest, EveryInstructionSetMatchesDoubles) {
  const Problem problem({3, 21, 5, 3}, true);
  const Exact want = problem.Solve();
  for (const auto target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    for (const Layout& hint : {Layout(problem.desc.src), BlockedAs(problem.desc.src),
                               LayoutBy(problem.desc.src, memory::format_tag::aBcd16b)}) {
      Runs runs(problem, hint, 1);
      const OpRunner forward = runs.Forward();
      EXPECT_EQ(forward.op().implementation(), std::string("simd:") + hwy::TargetName(target));
      EXPECT_LT(Deviation(forward.Get("dst"), want.dst), 1e-6) << hwy::TargetName(target);
      EXPECT_LT(Deviation(runs.Backward(forward).Get("diff_src"), want.diff_src), 1e-6);
    }
    hwy::SetSupportedTargetsForTest(0);
  }
}

// A relu that turned NaN into 0 would hide that a run has diverged.
TEST(SimdBatchnormReluTest, KeepsNaN) {
  for (const char* kernels : {"onednn", "reference"}) {
    Problem problem({2, 9, 3, 3}, true);
    problem.src[4] = std::numeric_limits<float>::quiet_NaN();  // channel 0
    const auto backend = TestBackend(kernels);
    OpRunner runner(*backend,
                    backend->BatchnormForward(problem.desc, HintFor(problem.desc.src, true)));
    runner.Set("src", problem.src).Set("gamma", problem.gamma).Set("beta", problem.beta).Run();
    const Floats dst = runner.Get("dst");
    EXPECT_TRUE(std::isnan(dst[0])) << kernels;
    EXPECT_TRUE(std::isnan(runner.Get("variance")[0])) << kernels;
    EXPECT_TRUE(std::isfinite(dst[9])) << kernels;
  }
}

}  // namespace
}  // namespace weft::kernel
