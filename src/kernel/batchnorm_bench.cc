// Batch normalisation of the fast backend on shapes of vgg16, blocked as convolutions leave it and
// in place where a plan would run it so.

#include <benchmark/benchmark.h>

#include "kernel/test_runner.h"

namespace weft::kernel {
namespace {

// An Op bound to memory of its own, with numbers in the floats it reads.
class BoundOp {
 public:
  BoundOp(Backend::OpResult op, bool in_place)
      : op_(std::move(op).value()), scratch_(op_->scratch_bytes()) {
    std::vector<void*> args;
    for (const Port& port : op_->ports()) {
      memory_.emplace_back(port.bytes);
      if (port.access == Access::kRead && port.layout.shape().rank() > 0) {
        float* const values = memory_.back().floats(0);
        const size_t n = port.layout.floats();
        std::ranges::copy(RandomFloats(static_cast<int64_t>(n), memory_.size()), values);
        if (port.name == "variance") std::fill_n(values, n, 1.0f);
      }
      const bool over = in_place && port.may_overwrite >= 0;
      args.push_back(over ? args[static_cast<size_t>(port.may_overwrite)] : memory_.back().data());
    }
    kernel_ = op_->Bind(args, scratch_.data());
  }

  const Op& op() const { return *op_; }
  void Run() { kernel_->Run(); }

 private:
  std::unique_ptr<Op> op_;
  tensor::Arena scratch_;
  std::vector<tensor::Arena> memory_;
  std::unique_ptr<Kernel> kernel_;
};

// The rate counts each tensor once for each pass that must touch it.
void Measure(benchmark::State& state, BoundOp bound, size_t tensor_bytes, int touches) {
  for (auto _ : state) bound.Run();
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(tensor_bytes) * touches);
  state.SetLabel(bound.op().implementation());
}

struct Setup {
  explicit Setup(const benchmark::State& state)
      : desc{.src = {32, state.range(0), state.range(1), state.range(1)},
             .relu = state.range(2) != 0},
        backend(TestBackend("onednn", static_cast<int>(state.range(3)))),
        layout(BlockedAs(desc.src)) {}

  BatchnormDesc desc;
  std::unique_ptr<Backend> backend;
  Layout layout;
};

// src twice, dst once; not in place, as backward wants src.
void Forward(benchmark::State& state) {
  const Setup setup(state);
  Measure(state, {setup.backend->BatchnormForward(setup.desc, setup.layout), false},
          setup.layout.bytes(), 3);
}

// src and diff_dst twice, diff_src once.
void Backward(benchmark::State& state) {
  const Setup setup(state);
  Measure(state, {setup.backend->BatchnormBackward(setup.desc, setup.layout, setup.layout), true},
          setup.layout.bytes(), 5);
}

void Shapes(benchmark::internal::Benchmark* bench) {
  for (const auto& [channels, extent] : {std::pair{64, 32}, {128, 16}, {512, 4}}) {
    for (int relu : {0, 1}) {
      for (int threads : {1, 2}) bench->Args({channels, extent, relu, threads});
    }
  }
  bench->ArgNames({"channels", "extent", "relu", "threads"});
  bench->UseRealTime()->Unit(benchmark::kMicrosecond);
}

BENCHMARK(Forward)->Apply(Shapes);
BENCHMARK(Backward)->Apply(Shapes);

}  // namespace
}  // namespace weft::kernel
