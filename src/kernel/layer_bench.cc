// GFLOP/s of the convolutions and linear layers of the preset networks in all three passes, beside
// a matrix product as measure of what the core can do. The label tells the implementation.
//
//   kernel_layer_bench --benchmark_filter=vgg16

#include <benchmark/benchmark.h>
#include <oneapi/dnnl/dnnl.h>

#include <functional>
#include <string>
#include <vector>

#include "kernel/backend.h"
#include "kernel/lane_layout.h"
#include "kernel/onednn_op.h"
#include "kernel/update.h"
#include "tensor/arena.h"

namespace weft::kernel {
namespace {

// Runs one Op over memory filled with ordinary numbers.
void RunOp(benchmark::State& state, const Backend::OpResult& op, double flops) {
  std::vector<tensor::Arena> memory;
  std::vector<void*> args;
  for (const Port& port : (*op)->ports()) {
    memory.emplace_back(port.bytes);
    args.push_back(memory.back().data());
    for (size_t i = 0; i < port.bytes / sizeof(float); ++i) {
      memory.back().floats(0)[i] = 0.01f * static_cast<float>(i % 17);
    }
  }
  tensor::Arena scratch((*op)->scratch_bytes());
  const std::unique_ptr<Kernel> kernel = (*op)->Bind(args, scratch.data());
  kernel->Run();
  for (auto _ : state) kernel->Run();
  state.counters["GFLOP/s"] =
      benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  std::string label = (*op)->implementation();
  for (const Port& port : (*op)->ports()) {
    if (port.layout.shape().rank() > 1) label += port.layout.plain() ? " p" : " b";
  }
  state.SetLabel(label);
}

struct Square {
  const char* name;
  int64_t batch, in, size, out, kernel, stride, pad;
  bool lanes = false;  // src arrives with samples as lanes
};

constexpr Square kConvs[] = {
    {"vgg16/1", 32, 3, 32, 64, 3, 1, 1},     {"vgg16/2", 32, 64, 32, 64, 3, 1, 1},
    {"vgg16/3", 32, 64, 16, 128, 3, 1, 1},   {"vgg16/4", 32, 128, 16, 128, 3, 1, 1},
    {"vgg16/5", 32, 128, 8, 256, 3, 1, 1},   {"vgg16/6", 32, 256, 8, 256, 3, 1, 1},
    {"vgg16/8", 32, 256, 4, 512, 3, 1, 1},   {"vgg16/9", 32, 512, 4, 512, 3, 1, 1},
    {"vgg16/11", 32, 512, 2, 512, 3, 1, 1},  {"alexnet/1", 64, 3, 32, 64, 3, 2, 1},
    {"alexnet/2", 64, 64, 8, 192, 3, 1, 1},  {"alexnet/3", 64, 192, 4, 384, 3, 1, 1},
    {"alexnet/4", 64, 384, 4, 256, 3, 1, 1}, {"alexnet/5", 64, 256, 4, 256, 3, 1, 1},
    {"lenet5/1", 64, 1, 28, 6, 5, 1, 2},     {"lenet5/2", 64, 6, 14, 16, 5, 1, 0, true},
};

ConvDesc DescOfSquare(const Square& s) {
  return {.batch = s.batch,
          .in_channels = s.in,
          .in_height = s.size,
          .in_width = s.size,
          .out_channels = s.out,
          .kernel_height = s.kernel,
          .kernel_width = s.kernel,
          .stride_height = s.stride,
          .stride_width = s.stride,
          .pad_top = s.pad,
          .pad_left = s.pad,
          .pad_bottom = s.pad,
          .pad_right = s.pad};
}

struct Product {
  const char* name;
  int64_t batch;
  Shape src;
  int64_t out;
};

const Product kLinears[] = {
    {"alexnet/6", 64, {64, 256, 2, 2}, 4096}, {"alexnet/7", 64, {64, 4096}, 4096},
    {"alexnet/8", 64, {64, 4096}, 10},        {"vgg16/14", 32, {32, 512}, 10},
    {"lenet5/3", 64, {64, 16, 5, 5}, 120},    {"lenet5/4", 64, {64, 120}, 84},
    {"lenet5/5", 64, {64, 84}, 10},
};

void Register(const std::string& name, double flops,
              const std::function<Backend::OpResult(Backend&)>& make) {
  benchmark::RegisterBenchmark(name.c_str(), [flops, make](benchmark::State& state) {
    const auto backend = MakeBackend("onednn", {.threads = 1}).value();
    RunOp(state, make(*backend), flops);
  })->Unit(benchmark::kMillisecond);
}

// The layouts of the forward pass, as a planner hands them to the backward passes.
Layout PortLayout(const Backend::OpResult& op, size_t port) { return (*op)->ports()[port].layout; }

void RegisterConvs() {
  for (const Square& square : kConvs) {
    const ConvDesc d = DescOfSquare(square);
    const std::string name = square.name;
    const Layout src = square.lanes ? LaneLayout(d.src_shape()) : Layout();
    Register(name + "/forward", d.flops(), [d, src](Backend& b) { return b.ConvForward(d, src); });
    Register(name + "/data", d.flops(), [d, src](Backend& b) {
      const auto f = b.ConvForward(d, src);
      return b.ConvBackwardData(d, PortLayout(f, 3), PortLayout(f, 0));
    });
    Register(name + "/weights", d.flops(), [d, src](Backend& b) {
      const auto f = b.ConvForward(d, src);
      return b.ConvBackwardWeights(d, PortLayout(f, 0), PortLayout(f, 3), PortLayout(f, 1));
    });
  }
}

void RegisterLinears() {
  for (const Product& product : kLinears) {
    const LinearDesc d{.batch = product.batch, .src = product.src, .out = product.out};
    const std::string name = product.name;
    Register(name + "/forward", d.flops(), [d](Backend& b) { return b.LinearForward(d, {}); });
    Register(name + "/data", d.flops(),
             [d](Backend& b) { return b.LinearBackwardData(d, {}, {}); });
    Register(name + "/weights", d.flops(),
             [d](Backend& b) { return b.LinearBackwardWeights(d, {}, {}, {}); });
  }
}

void Sgemm(benchmark::State& state) {
  const int64_t n = state.range(0);
  std::vector<float> a(n * n, 0.1f), b(n * n, 0.1f), c(n * n);
  UseThreads(1);
  for (auto _ : state) {
    dnnl_sgemm('N', 'N', n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n);
  }
  state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * static_cast<double>(n * n * n),
                                                 benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(Sgemm)->Arg(1024)->Unit(benchmark::kMillisecond);

void Sgd(benchmark::State& state) {
  const size_t n = static_cast<size_t>(state.range(0));
  std::vector<float> grad(n, 0.1f), weights(n, 0.1f), velocity(n);
  for (auto _ : state) SgdUpdate({.momentum = 0.9f}, grad, weights, velocity);
  state.SetBytesProcessed(state.iterations() * state.range(0) * 20);  // 3 reads, 2 writes
}
BENCHMARK(Sgd)->Arg(60000)->Arg(15000000)->Unit(benchmark::kMillisecond);

void Adamw(benchmark::State& state) {
  const size_t n = static_cast<size_t>(state.range(0));
  std::vector<float> grad(n, 0.1f), weights(n, 0.1f), first(n), second(n);
  for (auto _ : state) AdamwUpdate({}, grad, weights, first, second);
  state.SetBytesProcessed(state.iterations() * state.range(0) * 28);  // 4 reads, 3 writes
}
BENCHMARK(Adamw)->Arg(60000)->Arg(15000000)->Unit(benchmark::kMillisecond);

const bool kRegistered = (RegisterConvs(), RegisterLinears(), true);

}  // namespace
}  // namespace weft::kernel
