#include "plan/predict.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "model/graph.h"
#include "plan/program.h"

namespace weft::plan {
namespace {

Program ProgramOf(const std::string& text, int64_t batch, Mode mode = Mode::kTrainStreaming,
                  const std::string& kernels = "reference") {
  const base::Doc doc = base::ParseToml(text, "test").value();
  const model::Graph graph = model::GraphFromDoc(doc, "test", {}).value();
  const auto backend = kernel::MakeBackend(kernels, {}).value();
  CompileOptions options;
  options.batch = batch;
  options.mode = mode;
  return Compile(graph, backend.get(), options).value();
}

// Every kind of op that a program can hold, but for changes of layout.
const char kAllKinds[] = R"(
name = "all"
input = [3, 8, 8]
classes = 5
layers = [
  {type = "conv", out = 12, kernel = 3, pad = 1, stride = 2},
  {type = "batchnorm"},
  {type = "leaky_relu", name = "start"},
  {type = "conv", out = 12, kernel = 3, pad = 1, groups = 12, bias = false},
  {type = "conv", out = 12, kernel = 1, name = "end"},
  {type = "add", inputs = ["start", "end"]},
  {type = "relu"},
  {type = "maxpool", kernel = 2},
  {type = "dropout", rate = 0.2},
  {type = "linear", out = 7},
  {type = "linear", out = "classes"},
]
)";

OpSize ConvSize(double in, double out) {
  OpSize size;
  size.kind = OpKind::kConvForward;
  size.batch = 8;
  size.in = in;
  size.out = out;
  size.pixels = 64;
  size.window = 9;
  size.work = 2 * size.batch * in * out * size.pixels * size.window;
  return size;
}

DeviceProfile WithPoints(std::vector<Measurement> points) {
  DeviceProfile profile;
  profile.memory_gbps = 10;
  profile.sgemm_gflops = 50;
  profile.points = std::move(points);
  return profile;
}

// A time at so many GFLOP/s.
double At(const OpSize& size, double gflops) { return size.work / gflops * 1e-3; }

TEST(OpSizes, TellEveryKindApart) {
  const Program program = ProgramOf(kAllKinds, 4);
  std::set<OpKind> kinds;
  for (const OpSize& size : SizesOf(program, {})) {
    kinds.insert(size.kind);
    EXPECT_GT(size.work, 0);
    EXPECT_GE(size.reuse, kLeastReuse);
    EXPECT_LE(size.reuse, kMostReuse);
  }
  for (int i = 0; i < kOpKinds; ++i) {
    const auto kind = static_cast<OpKind>(i);
    const bool absent = kind == OpKind::kOther || kind == OpKind::kReorder;
    EXPECT_EQ(kinds.contains(kind), !absent) << OpKindName(kind);
  }
}

TEST(OpSizes, ReadAConvolutionFromItsPorts) {
  const Program program = ProgramOf(kAllKinds, 4);
  const OpSize first = SizesOf(program, {}).front();
  EXPECT_EQ(first.kind, OpKind::kConvForward);
  EXPECT_EQ(first.batch, 4);
  EXPECT_EQ(first.in, 3);
  EXPECT_EQ(first.out, 16) << "12 in full vectors";
  EXPECT_EQ(first.pixels, 16);
  EXPECT_EQ(first.window, 9);
  EXPECT_EQ(first.stride, 4);
  EXPECT_EQ(first.work, 2.0 * 4 * 3 * 16 * 16 * 9);
}

TEST(OpSizes, DataIsFurtherAwayInALargerStep) {
  const auto sum = [](int64_t batch, int64_t state_vectors) {
    double total = 0;
    for (const OpSize& size : SizesOf(ProgramOf(kAllKinds, batch), {state_vectors})) {
      total += size.reuse;
    }
    return total;
  };
  EXPECT_GT(sum(512, 0), sum(4, 0));
}

TEST(OpSizes, AHandOverIsTheUpdateOfItsParameter) {
  const Program program = ProgramOf(kAllKinds, 4);
  const std::vector<OpSize> sizes = SizesOf(program, {.state_vectors = 2});
  double updates = 0, parameters = 0;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    if (program.steps[i].op == nullptr) updates += sizes[i].work;
  }
  for (const ParameterValues& values : program.parameters) {
    parameters += static_cast<double>(program.values[static_cast<size_t>(values.weights)].bytes);
  }
  EXPECT_EQ(updates, 7 * parameters);
}

TEST(OpTimes, AMeasuredOpTakesWhatWasMeasured) {
  const OpSize a = ConvSize(16, 16), b = ConvSize(256, 256);
  const DeviceProfile profile = WithPoints({{a, At(a, 20)}, {b, At(b, 80)}});
  EXPECT_NEAR(OpTimes(profile).Microseconds(a) / At(a, 20), 1, 1e-3);
  EXPECT_NEAR(OpTimes(profile).Microseconds(b) / At(b, 80), 1, 1e-3);
}

TEST(OpTimes, BetweenTwoPointsTheRateIsBetweenTheirs) {
  const OpSize a = ConvSize(16, 16), b = ConvSize(256, 256), middle = ConvSize(64, 64);
  const DeviceProfile profile = WithPoints({{a, At(a, 20)}, {b, At(b, 80)}});
  EXPECT_NEAR(OpTimes(profile).Microseconds(middle) / At(middle, 40), 1, 1e-6);
  const OpSize near = ConvSize(128, 256);
  const double us = OpTimes(profile).Microseconds(near);
  EXPECT_LT(us, At(near, 40));
  EXPECT_GT(us, At(near, 80));
}

TEST(OpTimes, BeyondTheGridWorkTakesItsTimeAtTheRateOfTheEdge) {
  const OpSize a = ConvSize(64, 64);
  const DeviceProfile profile = WithPoints({{a, At(a, 30)}});
  const OpSize far = ConvSize(1024, 1024);
  EXPECT_NEAR(OpTimes(profile).Microseconds(far) / At(far, 30), 1, 1e-9);
}

TEST(OpTimes, AKindWithoutPointsGoesByTheWholeDevice) {
  const OpSize conv = ConvSize(8, 8);
  OpSize add;
  add.kind = OpKind::kAdd;
  add.work = add.bytes = 3e6;
  const DeviceProfile profile = WithPoints({});
  EXPECT_DOUBLE_EQ(OpTimes(profile).Microseconds(conv), At(conv, 50));
  EXPECT_DOUBLE_EQ(OpTimes(profile).Microseconds(add), 300);  // at 10 GB/s
}

TEST(PredictTime, SumsAStepAtTheRatesOfASyntheticDevice) {
  // 10 GFLOP/s and 2 GB/s whatever the size; updates at 4 GB/s.
  const Program program = ProgramOf(kAllKinds, 4);
  const UpdateCost cost{.state_vectors = 1};
  std::vector<Measurement> points;
  double want = 0;
  const auto per_us = [](OpKind kind) {
    return CountsFlops(kind) ? 1e4 : kind == OpKind::kUpdate ? 4e3 : 2e3;
  };
  for (int i = 0; i < kOpKinds; ++i) {
    OpSize size;
    size.kind = static_cast<OpKind>(i);
    points.push_back({size, 1 / per_us(size.kind)});
  }
  for (const OpSize& size : SizesOf(program, cost)) want += size.work / per_us(size.kind);
  const TimePrediction time = PredictTime(program, cost, WithPoints(points));
  EXPECT_EQ(time.step_us.size(), program.steps.size());
  EXPECT_NEAR(time.total_us() / want, 1, 1e-9);
}

TEST(PredictMemory, AddsUpToWhatThePlanHolds) {
  const Program program = ProgramOf(kAllKinds, 16);
  DeviceProfile profile = WithPoints({});
  profile.process_bytes = 1e7;
  profile.conv_bytes = 1e6;
  profile.op_bytes = 100;
  const MemoryPrediction sgd = PredictMemory(program, {.state_vectors = 0}, profile);
  const MemoryPrediction adamw = PredictMemory(program, {.state_vectors = 2}, profile);
  EXPECT_EQ(sgd.weights + sgd.gradients + sgd.activations,
            static_cast<double>(program.parameter_bytes + program.arena_bytes));
  EXPECT_EQ(sgd.gradients, 0) << "used up where they are made";
  const Program kept = ProgramOf(kAllKinds, 16, Mode::kTrain);
  EXPECT_GT(PredictMemory(kept, {}, profile).gradients, 0);
  EXPECT_EQ(adamw.planned() - sgd.planned(), 2.0 * static_cast<double>(program.parameter_bytes));
  EXPECT_EQ(sgd.process, 1e7) << "no op of oneDNN";
  EXPECT_EQ(sgd.batch, 16.0 * (3 * 8 * 8 * sizeof(float) + sizeof(int32_t) + sizeof(uint64_t)));
  EXPECT_EQ(sgd.peak(), sgd.planned() + sgd.batch + sgd.process);
}

TEST(PredictMemory, CountsTheLibraryForWhatItDoes) {
  DeviceProfile profile = WithPoints({});
  profile.process_bytes = 1e7;
  profile.conv_bytes = 1e6;
  profile.op_bytes = 100;
  const auto process = [&](const std::string& text) {
    const Program program = ProgramOf(text, 4, Mode::kTrainStreaming, "onednn");
    return PredictMemory(program, {}, profile).process;
  };
  const double linear = process(R"(
name = "linear"
input = [1, 1, 8]
classes = 5
layers = [{type = "linear", out = "classes"}]
)");
  EXPECT_EQ(linear, 1e7 + 2 * 100) << "forward and the gradient of the weights";
  EXPECT_GT(process(kAllKinds), 1e7 + 1e6 + 6 * 100);
}

}  // namespace
}  // namespace weft::plan
