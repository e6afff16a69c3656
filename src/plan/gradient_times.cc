#include "plan/gradient_times.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "plan/predict.h"

namespace weft::plan {
namespace {

constexpr int kNever = -1;

// One of each parameter: the first step that reads it.
std::vector<int> ReadSteps(const Program& program) {
  std::vector<int> first(program.values.size(), kNever);
  for (int s = static_cast<int>(program.steps.size()) - 1; s >= 0; --s) {
    const Step& step = program.steps[static_cast<size_t>(s)];
    if (step.op == nullptr) continue;
    for (const int arg : step.args) first[static_cast<size_t>(arg)] = s;
  }
  std::vector<int> steps;
  for (const ParameterValues& parameter : program.parameters) {
    steps.push_back(first[static_cast<size_t>(parameter.weights)]);
  }
  return steps;
}

// The last of the hand-overs that follow each other from `step` on.
int LastHandOver(const Program& program, int step) {
  const auto is_hand_over = [&](int s) {
    return program.steps[static_cast<size_t>(s)].op == nullptr;
  };
  while (step + 1 < static_cast<int>(program.steps.size()) && is_hand_over(step + 1)) ++step;
  return step;
}

// One of each parameter: the step after which its gradient is final.
std::vector<int> FinalSteps(const Program& program) {
  std::vector<int> written(program.values.size(), kNever);
  std::vector<int> handed_over(program.parameters.size(), kNever);
  for (int s = 0; s < static_cast<int>(program.steps.size()); ++s) {
    const Step& step = program.steps[static_cast<size_t>(s)];
    if (step.op == nullptr) {
      handed_over[static_cast<size_t>(step.parameter)] = LastHandOver(program, s);
      continue;
    }
    for (size_t i = 0; i < step.args.size(); ++i) {
      if (step.op->ports()[i].access == kernel::Access::kRead) continue;
      written[static_cast<size_t>(step.args[i])] = s;
    }
  }
  std::vector<int> steps;
  for (size_t i = 0; i < program.parameters.size(); ++i) {
    const auto gradient = static_cast<size_t>(program.parameters[i].gradient);
    const int step = handed_over[i] != kNever ? handed_over[i] : written[gradient];
    steps.push_back(std::max(step, program.backward_begin - 1));
  }
  return steps;
}

std::vector<Stretch> Join(const model::Graph& graph, const std::vector<int>& steps) {
  std::vector<Stretch> stretches;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i] == kNever) continue;
    const model::Parameter& parameter = graph.parameters()[i];
    stretches.push_back({parameter.offset, parameter.shape.elements(), steps[i]});
  }
  std::ranges::sort(stretches, [](const Stretch& a, const Stretch& b) {
    return std::pair(a.step, a.begin) < std::pair(b.step, b.begin);
  });
  std::vector<Stretch> joined;
  for (const Stretch& next : stretches) {
    Stretch* const last = joined.empty() ? nullptr : &joined.back();
    if (last != nullptr && last->step == next.step && last->begin + last->count == next.begin) {
      last->count += next.count;
    } else {
      joined.push_back(next);
    }
  }
  return joined;
}

}  // namespace

std::vector<Stretch> FirstReads(const model::Graph& graph, const Program& program) {
  return Join(graph, ReadSteps(program));
}

std::vector<Stretch> FinalGradients(const model::Graph& graph, const Program& program) {
  CHECK(program.mode == Mode::kTrain || program.mode == Mode::kTrainStreaming);
  return Join(graph, FinalSteps(program));
}

std::vector<StretchTime> StretchTimes(const model::Graph& graph, const Program& program,
                                      const std::vector<double>& step_cost, double before_cost) {
  CHECK_EQ(step_cost.size(), program.steps.size());
  std::vector<double> until = {before_cost};  // [step]: before it
  for (const double cost : step_cost) until.push_back(until.back() + cost);
  const double total = until.back();
  CHECK(total > 0) << "a step without any cost";
  const std::vector<int> reads = ReadSteps(program);
  const std::vector<int> finals = FinalSteps(program);
  std::vector<StretchTime> times;
  for (size_t i = 0; i < reads.size(); ++i) {
    const model::Parameter& parameter = graph.parameters()[i];
    const double read_at = reads[i] == kNever ? 1.0 : until[static_cast<size_t>(reads[i])] / total;
    const double final_at = until[static_cast<size_t>(finals[i]) + 1] / total;
    const int64_t count = parameter.shape.elements();
    if (!times.empty() && times.back().read_at == read_at && times.back().final_at == final_at) {
      times.back().count += count;
    } else {
      times.push_back({parameter.offset, count, read_at, final_at});
    }
  }
  return times;
}

Result<std::vector<StretchTime>> StretchTimes(const model::Graph& graph, kernel::Backend* backend,
                                              int64_t batch, const DeviceProfile* profile) {
  CompileOptions options;
  options.mode = Mode::kTrain;
  options.batch = batch;
  ASSIGN_OR_RETURN(const Program program, Compile(graph, backend, options));
  if (profile != nullptr) {
    const TimePrediction time = PredictTime(program, {.state_vectors = 0}, *profile);
    return StretchTimes(graph, program, time.step_us, time.load_us);
  }
  if (program.Flops() <= 0) {
    return InvalidArgument(graph.name() + ": no convolution and no linear layer to count");
  }
  std::vector<double> flops;
  for (const Step& step : program.steps) flops.push_back(step.flops);
  return StretchTimes(graph, program, flops, 0);
}

}  // namespace weft::plan
