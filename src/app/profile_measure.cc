#include "app/profile_measure.h"

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "app/bench_step.h"
#include "app/profile_device.h"
#include "app/profile_nets.h"
#include "base/doc.h"
#include "base/log.h"
#include "engine/engine.h"
#include "plan/predict.h"

namespace weft::app {
namespace {

constexpr size_t kLeastRounds = 2, kMostRounds = 15;  // of a sweep

Result<model::Graph> GraphOf(const ProfileNet& net) {
  ASSIGN_OR_RETURN(const base::Doc doc, base::ParseToml(net.text, net.name));
  return model::GraphFromDoc(doc, net.name, {});
}

// The value that a quarter of them do not exceed: other programs only ever make an op slower.
double LowerQuartile(std::vector<double> values) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 4);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

double Microseconds(TimePoint from, TimePoint to) { return base::Seconds(to - from) * 1e6; }

// The times that the parts of one network's step took, a row a part.
struct OpRounds {
  std::vector<plan::OpSize> sizes;
  std::vector<std::vector<double>> us;

  void AppendTo(plan::DeviceProfile* profile) const {
    constexpr double kLeast = 1e-3;  // us: what the clock can tell
    for (size_t i = 0; i < sizes.size(); ++i) {
      profile->points.push_back({sizes[i], std::max(LowerQuartile(us[i]), kLeast)});
    }
  }
};

// One device alone, as `weft bench step` measures it.
constexpr plan::Mode kMode = plan::Mode::kTrainStreaming;

// Trains one network at one batch size, with the time of every op.
class TimedTraining : private engine::StepObserver {
 public:
  static Result<std::unique_ptr<TimedTraining>> Make(const model::Graph& graph, int64_t batch,
                                                     const plan::DeviceProfile& profile) {
    auto training = std::unique_ptr<TimedTraining>(new TimedTraining);
    engine::EngineOptions options;
    options.threads = static_cast<int>(profile.threads);
    options.kernels = profile.kernels;
    options.clock = &base::SystemClock();
    ASSIGN_OR_RETURN(training->engine_,
                     engine::Engine::Create(std::make_shared<const model::Graph>(graph), options));
    RETURN_IF_ERROR(training->engine_->Prepare(kMode, batch));
    training->engine_->SetParameters(graph.InitialParameters(1));
    training->batch_ = RandomBatch(graph, batch);
    training->optimizer_.momentum = 0.9;
    training->stamps_.reserve(training->program().steps.size() + 1);
    training->one_thread_ = profile.threads == 1;
    training->engine_->Observe(training.get());
    return training;
  }

  const plan::Program& program() const { return engine_->plan(kMode, batch_.size).programs[0]; }
  double memory_bytes() const { return static_cast<double>(engine_->memory_bytes()); }

  // One step; returns its seconds.
  Result<double> Warm() {
    const TimePoint start = base::SystemClock().Now();
    RETURN_IF_ERROR(Step());
    return base::Seconds(base::SystemClock().Now() - start);
  }

  // One more step, with its times.
  Status Round(OpRounds* rounds) {
    const TimePoint start = Now();
    RETURN_IF_ERROR(Step());
    const TimePoint end = Now();
    const size_t ops = stamps_.size() - 1;
    rounds->us.resize(ops + 1);
    for (size_t i = 0; i < ops; ++i) {
      rounds->us[i].push_back(Microseconds(stamps_[i], stamps_[i + 1]));
    }
    rounds->us[ops].push_back(Microseconds(start, stamps_.front()) +
                              Microseconds(stamps_.back(), end));
    return OkStatus();
  }

  // Of what a round times.
  std::vector<plan::OpSize> Sizes() const { return plan::SizesOf(program(), {.state_vectors = 1}); }

 private:
  TimedTraining() = default;

  Status Step() {
    stamps_.clear();
    return engine_->TrainAndApply(batch_, optimizer_, 1e-6).status();
  }

  void BeforeSteps() override { stamps_.push_back(Now()); }
  void AfterStep(const plan::Step&) override { stamps_.push_back(Now()); }

  // On one thread, by what it computed, so that other programs on the device do not count. With
  // several, the others' share is only in the time that goes by.
  TimePoint Now() const { return one_thread_ ? base::ThreadCpuNow() : base::SystemClock().Now(); }

  std::unique_ptr<engine::Engine> engine_;
  data::Batch batch_;
  engine::OptimizerOptions optimizer_;
  bool one_thread_ = true;
  std::vector<TimePoint> stamps_;  // before the first op, and after each
};

}  // namespace

Status MeasureProcess(plan::DeviceProfile* profile) {
  // Linear layers, then convolutions, then many of them. The library keeps the code of a network,
  // so the next adds its own to it.
  const char* const names[3] = {"features", "small", "narrow residual"};
  double beside[3] = {};
  double ops[3] = {};
  for (int i = 0; i < 3; ++i) {
    const std::vector<ProfileNet> nets = ProfileNets();
    const auto net = std::find_if(nets.begin(), nets.end(),
                                  [&](const ProfileNet& n) { return n.name == names[i]; });
    CHECK(net != nets.end()) << names[i];
    ASSIGN_OR_RETURN(const model::Graph graph, GraphOf(*net));
    ASSIGN_OR_RETURN(const auto training, TimedTraining::Make(graph, 8, *profile));
    RETURN_IF_ERROR(training->Warm().status());
    RETURN_IF_ERROR(training->Warm().status());
    beside[i] = ReadResidentMemory().now - training->memory_bytes();
    ops[i] = static_cast<double>(plan::LibraryUseOf(training->program()).ops);
  }
  profile->op_bytes = std::max(0.0, (beside[2] - beside[1]) / std::max(ops[2], 1.0));
  profile->conv_bytes = std::max(0.0, beside[1] - beside[0] - profile->op_bytes * ops[1]);
  profile->process_bytes = std::max(0.0, beside[0] - profile->op_bytes * ops[0]);
  return OkStatus();
}

Status MeasureOps(const MeasureOpsOptions& options, plan::DeviceProfile* profile) {
  struct Run {
    const ProfileNet* net;
    model::Graph graph;
    int64_t batch;
  };
  const std::vector<ProfileNet> nets = ProfileNets();
  std::vector<Run> runs;
  for (const ProfileNet& net : nets) {
    ASSIGN_OR_RETURN(const model::Graph graph, GraphOf(net));
    for (const int64_t batch : net.batches) {
      if (options.quick && batch != net.batches.front()) break;
      runs.push_back({&net, graph, batch});
    }
  }
  const TimePoint start = base::SystemClock().Now();
  // Twice over all, so that something else that runs on the device for a few seconds does not spoil
  // an op's every round.
  std::map<size_t, OpRounds> rounds;
  const TimePoint computed = base::ThreadCpuNow();
  const size_t sweeps = options.quick ? 1 : 2;
  for (size_t turn = 0; turn < sweeps * runs.size(); ++turn) {
    const Run& run = runs[turn % runs.size()];
    const double left = options.seconds - base::Seconds(base::SystemClock().Now() - start);
    // Three passes, at the rate of a matrix product: no step is faster.
    const double floor = 3e-9 * run.graph.ForwardFlops() * static_cast<double>(run.batch) /
                         std::max(profile->sgemm_gflops, 1e-3);
    if (floor * (kLeastRounds + 1) > left) {
      base::LogDebug("profile: {} at batch {} left out: no time", run.net->name, run.batch);
      continue;
    }
    ASSIGN_OR_RETURN(const auto training, TimedTraining::Make(run.graph, run.batch, *profile));
    ASSIGN_OR_RETURN(const double warm, training->Warm());
    const double share = left / static_cast<double>(sweeps * runs.size() - turn);
    const auto count =
        std::clamp(static_cast<size_t>(share / std::max(warm, 1e-6)), kLeastRounds, kMostRounds);
    OpRounds& into = rounds[turn % runs.size()];
    for (size_t i = 0; i < count; ++i) RETURN_IF_ERROR(training->Round(&into));
    if (into.sizes.empty()) into.sizes = training->Sizes();
    base::LogDebug("profile: {} at batch {}: first step {:.2f} ms, then {} rounds", run.net->name,
                   run.batch, warm * 1e3, count);
  }
  for (const auto& [run, ops] : rounds) ops.AppendTo(profile);
  const double passed = base::Seconds(base::SystemClock().Now() - start);
  const double had = base::Seconds(base::ThreadCpuNow() - computed);
  profile->busy_share = std::clamp(1 - had / std::max(passed, 1e-9), 0.0, 1.0);
  return OkStatus();
}

}  // namespace weft::app
