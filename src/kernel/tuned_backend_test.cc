// The choice by measured time, with a clock that the candidates' kernels push on themselves.

#include "kernel/tuned_backend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "kernel/function_op.h"
#include "kernel/ports.h"
#include "kernel/test_runner.h"

namespace weft::kernel {
namespace {

class HandClock : public base::Clock {
 public:
  TimePoint Now() const override { return {ns}; }
  void SleepFor(Duration) override {}
  mutable int64_t ns = 0;
};

struct Behaviour {
  std::string name;
  int64_t ns = 0;   // a run takes
  float value = 1;  // every number of the result
  int runs = 0;     // counted
  bool refuses = false;
};

// A backend whose results are constants.
class FakeBackend : public PartialBackend {
 public:
  FakeBackend(Behaviour* behaviour, HandClock* clock) : behaviour_(behaviour), clock_(clock) {}
  std::string name() const override { return behaviour_->name; }

  OpResult ConvForward(const ConvDesc& d, const Layout&) override {
    return Make(WeightedForwardPorts(
        {Layout(d.src_shape()), Layout(d.weights_shape()), Layout(d.dst_shape()), d.bias}));
  }
  OpResult ConvBackwardData(const ConvDesc& d, const Layout&, const Layout&) override {
    return Make(WeightedBackwardDataPorts(
        {Layout(d.src_shape()), Layout(d.weights_shape()), Layout(d.dst_shape()), d.bias}));
  }
  OpResult ConvBackwardWeights(const ConvDesc& d, const Layout&, const Layout&,
                               const Layout&) override {
    return Make(WeightedBackwardWeightsPorts(
        {Layout(d.src_shape()), Layout(d.weights_shape()), Layout(d.dst_shape()), d.bias}));
  }

 private:
  OpResult Make(std::vector<Port> ports) {
    if (behaviour_->refuses) return base::Unimplemented("fake");
    size_t written = 0;
    while (ports[written].access == Access::kRead) ++written;
    const size_t floats = ports[written].layout.floats();
    return std::unique_ptr<Op>(std::make_unique<FunctionOp>(
        behaviour_->name, std::move(ports),
        [behaviour = behaviour_, clock = clock_, written, floats](const Arguments& args) {
          ++behaviour->runs;
          clock->ns += behaviour->ns;
          std::fill_n(args.out(static_cast<int>(written)), floats, behaviour->value);
        }));
  }

  Behaviour* behaviour_;
  HandClock* clock_;
};

class TunedBackendTest : public testing::Test {
 protected:
  // The process keeps choices: each test has a shape of its own.
  ConvDesc Desc(int64_t channels, int64_t batch = 4) {
    return {.batch = batch,
            .in_channels = channels,
            .in_height = 4,
            .in_width = 4,
            .out_channels = 7,
            .kernel_height = 3,
            .kernel_width = 3,
            .pad_top = 1,
            .pad_left = 1,
            .pad_bottom = 1,
            .pad_right = 1};
  }

  std::string Chosen(const ConvDesc& desc) {
    std::vector<std::unique_ptr<Backend>> candidates;
    for (Behaviour* one : {&trusted_, &second_, &third_}) {
      candidates.push_back(std::make_unique<FakeBackend>(one, &clock_));
    }
    TunedBackend tuned({.threads = 1, .clock = &clock_}, std::move(candidates),
                       TestBackend("reference"));
    return tuned.ConvForward(desc, Layout(desc.src_shape())).value()->implementation();
  }

  HandClock clock_;
  Behaviour trusted_{"trusted", 1000};
  Behaviour second_{"second", 1000};
  Behaviour third_{"third", 1000};
};

TEST_F(TunedBackendTest, TakesTheFastest) {
  second_.ns = 900;
  third_.ns = 500;
  EXPECT_EQ(Chosen(Desc(101)), "third");
}

TEST_F(TunedBackendTest, KeepsTheTrustedOneIfNoneIsFaster) {
  second_.ns = 1100;
  EXPECT_EQ(Chosen(Desc(102)), "trusted");
}

TEST_F(TunedBackendTest, RefusesTheFastestIfItStrays) {
  second_.ns = 900;
  second_.value = 1.0009f;
  third_.ns = 10;
  third_.value = 1.0011f;  // just above kMostDeviation
  EXPECT_EQ(Chosen(Desc(103)), "second");
}

TEST_F(TunedBackendTest, RefusesNaN) {
  third_.ns = 10;
  third_.value = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(Chosen(Desc(104)), "trusted");
}

TEST_F(TunedBackendTest, TriesNothingWhereThereIsNoChoice) {
  second_.refuses = third_.refuses = true;
  EXPECT_EQ(Chosen(Desc(105)), "trusted");
  EXPECT_EQ(trusted_.runs, 0);
}

TEST_F(TunedBackendTest, TriesAShapeOnce) {
  third_.ns = 500;
  EXPECT_EQ(Chosen(Desc(106, 50)), "third");
  const int runs = third_.runs;
  EXPECT_GT(runs, 0);
  third_.ns = 5000;
  EXPECT_EQ(Chosen(Desc(106, 40)), "third");  // as of 32 samples, both
  EXPECT_EQ(third_.runs, runs);
  EXPECT_EQ(Chosen(Desc(106, 4)), "trusted");
}

TEST(TunedChainTest, WithoutAClockThereIsNoChoice) {
  const auto fixed = MakeBackend("auto", {.threads = 1}).value();
  const ConvDesc d{.batch = 2,
                   .in_channels = 32,
                   .in_height = 16,
                   .in_width = 16,
                   .out_channels = 32,
                   .kernel_height = 3,
                   .kernel_width = 3,
                   .pad_top = 1,
                   .pad_left = 1,
                   .pad_bottom = 1,
                   .pad_right = 1};
  EXPECT_TRUE(fixed->ConvForward(d, Layout()).value()->implementation().starts_with("onednn"));
}

}  // namespace
}  // namespace weft::kernel
