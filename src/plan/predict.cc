#include "plan/predict.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace weft::plan {
namespace {

constexpr size_t kNeighbours = 4;

// How far the rate of an op depends on each size: octaves of distance an octave of size.
struct Weights {
  double batch, groups, in, out, pixels, window, stride, bytes, reuse;
};
constexpr Weights kFlopsWeights = {.batch = 0.5,
                                   .groups = 0.5,
                                   .in = 1,
                                   .out = 1,
                                   .pixels = 0.6,
                                   .window = 0.8,
                                   .stride = 1,
                                   .bytes = 0,
                                   .reuse = 0.15};
constexpr Weights kBytesWeights = {.batch = 0,
                                   .groups = 0,
                                   .in = 0.2,
                                   .out = 0,
                                   .pixels = 0.2,
                                   .window = 0.5,
                                   .stride = 0,
                                   .bytes = 0.6,
                                   .reuse = 0.3};

double Square(double x) { return x * x; }

double Distance2(const OpSize& a, const OpSize& b, const Weights& w) {
  const auto octaves = [](double x, double y, double weight) {
    return weight == 0 ? 0 : Square(weight * std::log2(x / y));
  };
  return octaves(a.batch, b.batch, w.batch) + octaves(a.groups, b.groups, w.groups) +
         octaves(a.in, b.in, w.in) + octaves(a.out, b.out, w.out) +
         octaves(a.pixels, b.pixels, w.pixels) + octaves(a.window, b.window, w.window) +
         octaves(a.stride, b.stride, w.stride) + octaves(a.bytes, b.bytes, w.bytes) +
         octaves(a.reuse, b.reuse, w.reuse);
}

double Bytes(const Program& program, int value) {
  return value < 0 ? 0 : static_cast<double>(program.values[static_cast<size_t>(value)].bytes);
}

}  // namespace

OpTimes::OpTimes(const DeviceProfile& profile) : profile_(profile) {
  for (const Measurement& point : profile.points) {
    points_[static_cast<size_t>(point.size.kind)].push_back(&point);
  }
}

double OpTimes::Microseconds(const OpSize& size) const {
  const bool flops = CountsFlops(size.kind);
  const auto& points = points_[static_cast<size_t>(size.kind)];
  if (points.empty()) {
    const double rate = flops ? profile_.sgemm_gflops : profile_.memory_gbps;
    return size.work / std::max(rate, 1e-9) * 1e-3;
  }
  const Weights& weights = flops ? kFlopsWeights : kBytesWeights;
  std::vector<std::pair<double, const Measurement*>> near;
  for (const Measurement* point : points) {
    near.emplace_back(Distance2(size, point->size, weights), point);
  }
  const size_t count = std::min(kNeighbours, near.size());
  std::partial_sort(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(count), near.end(),
                    [](const auto& a, const auto& b) { return a.first < b.first; });
  double total = 0, sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto& [distance2, point] = near[i];
    const double weight = 1 / (distance2 + 1e-3);
    total += weight;
    sum += weight * std::log(point->us / point->size.work);
  }
  return size.work * std::exp(sum / total);
}

double TimePrediction::total_us() const {
  return std::accumulate(step_us.begin(), step_us.end(), load_us);
}

LibraryUse LibraryUseOf(const Program& program) {
  LibraryUse use;
  for (const Step& step : program.steps) {
    if (step.op == nullptr) continue;
    const std::string& implementation = step.op->implementation();
    const bool library = implementation.starts_with("onednn");
    use.ops += library ? 1 : 0;
    // Where a Winograd convolution may run, a direct one was tried.
    const bool conv = std::ranges::any_of(step.op->ports(), [](const kernel::Port& port) {
      return port.name.ends_with("weights") && port.layout.shape().rank() == 4;
    });
    use.convolutions |= conv && (library || implementation.starts_with("winograd"));
  }
  return use;
}

TimePrediction PredictTime(const Program& program, const UpdateCost& update,
                           const DeviceProfile& profile) {
  const OpTimes times(profile);
  TimePrediction prediction;
  for (const OpSize& size : SizesOf(program, update)) {
    prediction.step_us.push_back(times.Microseconds(size));
  }
  prediction.load_us = prediction.step_us.back();
  prediction.step_us.pop_back();
  return prediction;
}

MemoryPrediction PredictMemory(const Program& program, const UpdateCost& update,
                               const DeviceProfile& profile) {
  MemoryPrediction memory;
  memory.weights = static_cast<double>(program.parameter_bytes);
  for (const ParameterValues& parameter : program.parameters) {
    if (program.mode == Mode::kTrain) memory.gradients += Bytes(program, parameter.gradient);
    const kernel::Layout& layout = program.values[static_cast<size_t>(parameter.weights)].layout;
    if (!layout.plain()) {
      memory.staging =
          std::max(memory.staging, static_cast<double>(kernel::Layout(layout.shape()).bytes()));
    }
  }
  if (program.mode == Mode::kTrain || program.mode == Mode::kTrainStreaming) {
    memory.optimizer = static_cast<double>(update.state_vectors) * memory.weights;
  }
  memory.activations = std::max(0.0, static_cast<double>(program.arena_bytes) - memory.gradients);
  memory.batch = Bytes(program, program.samples) + Bytes(program, program.labels) +
                 Bytes(program, program.keys);
  const LibraryUse use = LibraryUseOf(program);
  memory.process = profile.process_bytes + (use.convolutions ? profile.conv_bytes : 0) +
                   profile.op_bytes * static_cast<double>(use.ops);
  return memory;
}

}  // namespace weft::plan
