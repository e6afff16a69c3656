// Activations, add, dropout and reorders: fast against reference, in place, and over padding.

#include <gtest/gtest.h>

#include "kernel/test_runner.h"

namespace weft::kernel {
namespace {

// Below and above the length at which loops are cut among threads; odd, prime and empty tails.
const Shape kShapes[] = {{1, 1}, {1, 7}, {3, 31}, {2, 64}, {3, 50021}};

// Two threads: of use, and of cost, only for the last shape.
std::unique_ptr<Backend> BackendFor(const std::string& name, const Layout& layout) {
  return TestBackend(name, layout.shape().elements() > 100000 ? 2 : 1);
}

const ActivationDesc kActivations[] = {
    {Activation::kNone, 0.5f}, {Activation::kRelu, 0}, {Activation::kLeakyRelu, 0.1f}};

Floats Forward(const std::string& name, const ActivationDesc& desc, const Layout& layout,
               bool in_place = false) {
  const auto backend = BackendFor(name, layout);
  OpRunner runner(*backend, backend->ActivationForward(desc, layout));
  if (in_place) runner.InPlace("dst");
  return runner.Set("src", RandomFloats(layout.shape().elements(), 1)).Run().Get("dst");
}

Floats Backward(const std::string& name, const ActivationDesc& desc, const Layout& layout,
                bool in_place = false) {
  const auto backend = BackendFor(name, layout);
  OpRunner runner(*backend, backend->ActivationBackward(desc, layout));
  if (in_place) runner.InPlace("diff_src");
  runner.Set("dst", RandomFloats(layout.shape().elements(), 1));
  runner.Set("diff_dst", RandomFloats(layout.shape().elements(), 2));
  return runner.Run().Get("diff_src");
}

Floats Sum(const std::string& name, const Layout& layout, bool in_place = false) {
  const auto backend = BackendFor(name, layout);
  OpRunner runner(*backend, backend->Add(layout));
  if (in_place) runner.InPlace("dst");
  runner.Set("a", RandomFloats(layout.shape().elements(), 1));
  return runner.Set("b", RandomFloats(layout.shape().elements(), 2)).Run().Get("dst");
}

TEST(ActivationTest, KnownValues) {
  const auto backend = TestBackend("reference");
  OpRunner forward(*backend,
                   backend->ActivationForward({Activation::kLeakyRelu, 0.5f}, Layout(Shape{1, 3})));
  EXPECT_EQ(forward.Set("src", {-2, 0, 3}).Run().Get("dst"), (Floats{-1, 0, 3}));
  OpRunner backward(*backend,
                    backend->ActivationBackward({Activation::kRelu, 0}, Layout(Shape{1, 3})));
  backward.Set("dst", {0, 0, 3}).Set("diff_dst", {5, 6, 7});
  EXPECT_EQ(backward.Run().Get("diff_src"), (Floats{0, 0, 7}));
}

TEST(ActivationTest, TwinsAgreeAlsoInPlace) {
  for (const ActivationDesc& desc : kActivations) {
    for (const Shape& shape : kShapes) {
      const Layout layout(shape);
      const Floats forward = Forward("reference", desc, layout);
      const Floats backward = Backward("reference", desc, layout);
      for (bool in_place : {false, true}) {
        EXPECT_EQ(Forward("onednn", desc, layout, in_place), forward) << shape.ToString();
        EXPECT_EQ(Backward("onednn", desc, layout, in_place), backward) << shape.ToString();
      }
    }
  }
}

TEST(AddTest, TwinsAgreeAlsoInPlace) {
  for (const Shape& shape : kShapes) {
    const Floats want = Sum("reference", Layout(shape));
    EXPECT_EQ(Sum("onednn", Layout(shape)), want);
    EXPECT_EQ(Sum("onednn", Layout(shape), true), want);
  }
}

// OpRunner checks that the padding is still zero.
TEST(ElementwiseTest, BlockedLayoutsGiveWhatPlainOnesGive) {
  const Layout blocked = BlockedAs({2, 6, 5, 3});
  ASSERT_FALSE(blocked.plain());
  ASSERT_GT(blocked.floats(), static_cast<size_t>(blocked.shape().elements()));
  const Layout plain(blocked.shape());
  for (const ActivationDesc& desc : kActivations) {
    EXPECT_EQ(Forward("onednn", desc, blocked), Forward("onednn", desc, plain));
    EXPECT_EQ(Backward("onednn", desc, blocked), Backward("onednn", desc, plain));
  }
  EXPECT_EQ(Sum("onednn", blocked), Sum("onednn", plain));
}

Floats Dropout(const DropoutDesc& desc, const std::vector<uint64_t>& keys, const Floats& src,
               bool backward = false, bool in_place = false) {
  const auto backend = TestBackend("onednn");
  OpRunner runner(*backend,
                  backward ? backend->DropoutBackward(desc) : backend->DropoutForward(desc));
  if (in_place) runner.InPlace(backward ? "diff_src" : "dst");
  runner.SetBytes("keys", keys.data(), keys.size() * sizeof(uint64_t));
  runner.Set(backward ? "diff_dst" : "src", src).Run();
  return runner.Get(backward ? "diff_src" : "dst");
}

TEST(DropoutTest, KeepsTheShareAndTheMean) {
  const DropoutDesc desc{.src = {10, 5000}, .rate = 0.3f, .seed = 7};
  const std::vector<uint64_t> keys = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  const Floats dst = Dropout(desc, keys, Floats(50000, 1.0f));
  double kept = 0, sum = 0;
  for (float value : dst) {
    EXPECT_TRUE(value == 0.0f || value == 1 / 0.7f) << value;
    kept += value != 0;
    sum += value;
  }
  EXPECT_NEAR(kept / 50000, 0.7, 0.01);  // five standard deviations
  EXPECT_NEAR(sum / 50000, 1.0, 0.015);
}

TEST(DropoutTest, MaskDoesNotDependOnHowTheBatchIsShared) {
  const std::vector<uint64_t> keys = {11, 5, 99, 1234567890123ULL, 3};
  const Floats src = RandomFloats(5 * 12, 1);
  const Floats whole = Dropout({.src = {5, 3, 2, 2}, .rate = 0.5f, .seed = 3}, keys, src);
  Floats parts;
  for (auto [begin, end] : {std::pair{0, 2}, std::pair{2, 5}}) {
    const Floats part = Dropout({.src = {end - begin, 3, 2, 2}, .rate = 0.5f, .seed = 3},
                                {keys.begin() + begin, keys.begin() + end},
                                {src.begin() + begin * 12, src.begin() + end * 12});
    parts.insert(parts.end(), part.begin(), part.end());
  }
  EXPECT_EQ(parts, whole);
}

TEST(DropoutTest, LayersAndSamplesHaveDifferentMasks) {
  const Floats ones(64, 1.0f);
  const Floats a = Dropout({.src = {1, 64}, .rate = 0.5f, .seed = 1}, {8}, ones);
  EXPECT_NE(a, Dropout({.src = {1, 64}, .rate = 0.5f, .seed = 2}, {8}, ones));
  EXPECT_NE(a, Dropout({.src = {1, 64}, .rate = 0.5f, .seed = 1}, {9}, ones));
  EXPECT_EQ(a, Dropout({.src = {1, 64}, .rate = 0.5f, .seed = 1}, {8}, ones, true));
}

TEST(DropoutTest, RateZeroAndInPlace) {
  const Floats src = RandomFloats(30, 1);
  EXPECT_EQ(Dropout({.src = {2, 15}, .rate = 0, .seed = 1}, {1, 2}, src), src);
  const DropoutDesc desc{.src = {2, 15}, .rate = 0.4f, .seed = 1};
  for (bool backward : {false, true}) {
    EXPECT_EQ(Dropout(desc, {1, 2}, src, backward, true), Dropout(desc, {1, 2}, src, backward));
  }
}

}  // namespace
}  // namespace weft::kernel
