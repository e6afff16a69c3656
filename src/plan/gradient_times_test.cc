#include "plan/gradient_times.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/predict.h"

namespace weft::plan {
namespace {

using testing::ElementsAre;

model::Graph GraphOf(const std::string& text) {
  const base::Doc doc = base::ParseToml(text, "test").value();
  return model::GraphFromDoc(doc, "test", {}).value();
}

// 8 -> 6 -> 5: of a sample's forward pass 96 and 60 FLOPs; 54 and 35 parameters.
constexpr char kPerceptron[] = R"(
name = "perceptron"
input = [8, 1, 1]
classes = 5
layers = [
  {type = "linear", out = 6},
  {type = "relu"},
  {type = "linear", out = "classes"},
]
)";

constexpr char kBatchnorm[] = R"(
name = "batchnorm"
input = [2, 4, 4]
classes = 3
layers = [
  {type = "conv", out = 4, kernel = 3, bias = false},
  {type = "batchnorm"},
  {type = "relu"},
  {type = "linear", out = "classes"},
]
)";

std::unique_ptr<kernel::Backend> Reference() {
  return kernel::MakeBackend("reference", {}).value();
}

Program ProgramOf(const model::Graph& graph, int64_t batch, Mode mode = Mode::kTrain) {
  const auto backend = Reference();
  return Compile(graph, backend.get(), {.mode = mode, .batch = batch}).value();
}

void ExpectTime(const StretchTime& got, const StretchTime& want) {
  EXPECT_EQ(got.begin, want.begin);
  EXPECT_EQ(got.count, want.count);
  EXPECT_DOUBLE_EQ(got.read_at, want.read_at);
  EXPECT_DOUBLE_EQ(got.final_at, want.final_at);
}

TEST(StretchTimes, OfAPerceptronByHand) {
  const model::Graph graph = GraphOf(kPerceptron);
  const auto backend = Reference();
  // Forward 96 + 60, backward 60 (weights) + 60 (data), then 96 (weights: nobody wants the data's).
  const auto many = StretchTimes(graph, backend.get(), 64, nullptr).value();
  ASSERT_EQ(many.size(), 2u);
  ExpectTime(many[0], {0, 54, 0, 1});
  ExpectTime(many[1], {54, 35, 96.0 / 372, 216.0 / 372});
  // Of one sample the weights are more bytes than what they are applied to: data first.
  const auto one = StretchTimes(graph, backend.get(), 1, nullptr).value();
  ASSERT_EQ(one.size(), 2u);
  ExpectTime(one[0], {0, 54, 0, 1});
  ExpectTime(one[1], {54, 35, 96.0 / 372, 276.0 / 372});
}

TEST(StretchTimes, FollowTheProfileWhereThereIsOne) {
  const model::Graph graph = GraphOf(kPerceptron);
  const auto backend = Reference();
  DeviceProfile profile;
  profile.sgemm_gflops = 1e9;  // linear layers take no time, so all else does
  profile.memory_gbps = 1;
  const auto times = StretchTimes(graph, backend.get(), 64, &profile).value();
  const Program program = ProgramOf(graph, 64);
  const TimePrediction predicted = PredictTime(program, {.state_vectors = 0}, profile);
  ASSERT_EQ(times.size(), 2u);
  EXPECT_DOUBLE_EQ(times[0].read_at, predicted.load_us / predicted.total_us());
  EXPECT_GT(times[0].read_at, 0.1);
  EXPECT_LE(times[0].final_at, 1);
  EXPECT_LT(times[1].final_at, times[0].final_at);
}

TEST(StretchTimes, ANetworkWithoutFlopsNeedsAProfile) {
  const model::Graph graph = GraphOf(R"(
name = "pool"
input = [3, 4, 4]
classes = 3
layers = [{type = "batchnorm"}, {type = "global_avgpool"}, {type = "flatten"}]
)");
  const auto backend = Reference();
  EXPECT_EQ(StretchTimes(graph, backend.get(), 4, nullptr).status().code(), Code::kInvalidArgument);
}

// What a list of stretches says of each value of the flat vector; -1: nothing.
std::vector<int> StepOfEach(const model::Graph& graph, const std::vector<Stretch>& stretches) {
  std::vector<int> steps(static_cast<size_t>(graph.parameter_count()), -1);
  for (const Stretch& stretch : stretches) {
    for (int64_t i = stretch.begin; i < stretch.begin + stretch.count; ++i) {
      EXPECT_EQ(steps[static_cast<size_t>(i)], -1) << i << " is in two";
      steps[static_cast<size_t>(i)] = stretch.step;
    }
  }
  return steps;
}

TEST(Stretches, StatisticsAreFinalWithTheLossAndNeverRead) {
  const model::Graph graph = GraphOf(kBatchnorm);
  const Program program = ProgramOf(graph, 5);
  const std::vector<int> final = StepOfEach(graph, FinalGradients(graph, program));
  const std::vector<int> read = StepOfEach(graph, FirstReads(graph, program));
  for (const model::Parameter& parameter : graph.parameters()) {
    const auto at = static_cast<size_t>(parameter.offset);
    if (parameter.trainable()) {
      EXPECT_GE(final[at], program.backward_begin) << parameter.name;
      EXPECT_GE(read[at], 0) << parameter.name;
      EXPECT_LT(read[at], program.backward_begin) << parameter.name;
    } else {
      EXPECT_EQ(final[at], program.backward_begin - 1) << parameter.name;
      EXPECT_EQ(read[at], -1) << parameter.name;
    }
  }
}

TEST(Stretches, ComeInTheOrderOfTheSteps) {
  const model::Graph graph = GraphOf(kPerceptron);
  const Program program = ProgramOf(graph, 64);
  const auto final = FinalGradients(graph, program);
  ASSERT_EQ(final.size(), 2u);
  EXPECT_EQ(final[0].begin, 54);
  EXPECT_EQ(final[1].begin, 0);
  EXPECT_EQ(program.steps[static_cast<size_t>(final[0].step)].name, "linear2 backward weights");
  EXPECT_EQ(program.steps[static_cast<size_t>(final[1].step)].name, "linear1 backward weights");
  const auto read = FirstReads(graph, program);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].begin, 0);
  EXPECT_EQ(program.steps[static_cast<size_t>(read[0].step)].name, "linear1 forward");
  EXPECT_EQ(read[1].begin, 54);
}

TEST(Stretches, OfHandOversWaitForTheLastInARow) {
  const model::Graph graph = GraphOf(kPerceptron);
  const Program program = ProgramOf(graph, 64, Mode::kTrainStreaming);
  const auto final = FinalGradients(graph, program);
  ASSERT_EQ(final.size(), 2u) << "weight and bias are handed over one after the other";
  for (const Stretch& stretch : final) {
    EXPECT_EQ(program.steps[static_cast<size_t>(stretch.step)].op, nullptr);
  }
  EXPECT_THAT(final,
              ElementsAre(testing::Field(&Stretch::begin, 54), testing::Field(&Stretch::begin, 0)));
}

}  // namespace
}  // namespace weft::plan
