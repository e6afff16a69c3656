// Equal inputs and equal thread counts give equal bits, run after run, bound anew, and whatever
// else runs beside.

#include <gtest/gtest.h>

#include "kernel/test_runner.h"

namespace weft::kernel {
namespace {

constexpr ConvDesc kConv{.batch = 4,
                         .in_channels = 24,
                         .in_height = 12,
                         .in_width = 12,
                         .out_channels = 40,
                         .kernel_height = 3,
                         .kernel_width = 3,
                         .pad_top = 1,
                         .pad_left = 1,
                         .pad_bottom = 1,
                         .pad_right = 1};

LinearDesc Linear() { return {.batch = 16, .src = {16, 300}, .out = 100}; }

Floats ConvGradient(int threads) {
  const auto backend = TestBackend("onednn", threads);
  OpRunner runner(*backend, backend->ConvBackwardWeights(kConv, {}, {}, {}));
  runner.Set("src", RandomFloats(kConv.src_shape().elements(), 1));
  runner.Set("diff_dst", RandomFloats(kConv.dst_shape().elements(), 2));
  return runner.Run().Get("diff_weights");
}

Floats LinearGradient(int threads) {
  const auto backend = TestBackend("onednn", threads);
  OpRunner runner(*backend, backend->LinearBackwardWeights(Linear(), {}, {}, {}));
  runner.Set("src", RandomFloats(Linear().src.elements(), 1));
  runner.Set("diff_dst", RandomFloats(Linear().dst_shape().elements(), 2));
  return runner.Run().Get("diff_weights");
}

Floats BatchnormForward(int threads) {
  const auto backend = TestBackend("onednn", threads);
  const BatchnormDesc desc{.src = {8, 16, 16, 16}, .relu = true};
  OpRunner runner(*backend, backend->BatchnormForward(desc, BlockedAs(desc.src)));
  runner.Set("src", RandomFloats(desc.src.elements(), 1));
  runner.Set("gamma", RandomFloats(16, 2)).Set("beta", RandomFloats(16, 3));
  return runner.Run().Get("dst");
}

TEST(DeterminismTest, SameBitsEachTime) {
  for (Floats (*compute)(int) : {ConvGradient, LinearGradient, BatchnormForward}) {
    for (int threads : {1, 2}) {
      const Floats first = compute(threads);
      for (int again = 0; again < 3; ++again) EXPECT_EQ(compute(threads), first) << threads;
    }
  }
}

// Two host threads, as two workers in one process are, each with its own number of kernel threads.
TEST(DeterminismTest, HostThreadsDoNotDisturbEachOther) {
  const Floats want[] = {ConvGradient(1), LinearGradient(1)};
  bool equal[] = {true, true};
#pragma omp parallel for num_threads(2) schedule(static, 1)
  for (int host = 0; host < 2; ++host) {
    for (int again = 0; again < 5; ++again) {
      const Floats got = host == 0 ? ConvGradient(1) : LinearGradient(1);
      equal[host] = equal[host] && got == want[host];
    }
  }
  EXPECT_TRUE(equal[0]);
  EXPECT_TRUE(equal[1]);
}

// A kernel bound once and run often computes the same each time.
TEST(DeterminismTest, RunAgainGivesTheSame) {
  const auto backend = TestBackend("onednn");
  const std::unique_ptr<Op> op = backend->ConvForward(kConv, {}).value();
  std::vector<tensor::Arena> memory;
  std::vector<void*> args;
  for (const Port& port : op->ports()) {
    memory.emplace_back(port.bytes);
    args.push_back(memory.back().data());
    for (size_t i = 0; i < port.bytes / sizeof(float); ++i) {
      memory.back().floats(0)[i] = 0.01f * static_cast<float>(i % 101);
    }
  }
  tensor::Arena scratch(op->scratch_bytes());
  const std::unique_ptr<Kernel> kernel = op->Bind(args, scratch.data());
  kernel->Run();
  const float* dst = memory.back().floats(0);
  const Floats first(dst, dst + memory.back().size() / sizeof(float));
  std::memset(memory.back().data(), 0xFF, memory.back().size());
  kernel->Run();
  EXPECT_EQ(std::memcmp(first.data(), dst, memory.back().size()), 0);
}

}  // namespace
}  // namespace weft::kernel
