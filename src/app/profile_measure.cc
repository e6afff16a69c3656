#include "app/profile_measure.h"

#include <algorithm>
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

constexpr size_t kLeastRounds = 3, kMostRounds = 15;

Result<model::Graph> GraphOf(const ProfileNet& net) {
  ASSIGN_OR_RETURN(const base::Doc doc, base::ParseToml(net.text, net.name));
  return model::GraphFromDoc(doc, net.name, {});
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double Microseconds(TimePoint from, TimePoint to) { return base::Seconds(to - from) * 1e6; }

// Trains one network at one batch size, with the time of every op.
class TimedTraining {
 public:
  static Result<std::unique_ptr<TimedTraining>> Make(const model::Graph& graph, int64_t batch,
                                                     const plan::DeviceProfile& profile) {
    auto training = std::unique_ptr<TimedTraining>(new TimedTraining);
    engine::EngineOptions options;
    options.threads = static_cast<int>(profile.threads);
    options.kernels = profile.kernels;
    ASSIGN_OR_RETURN(training->engine_,
                     engine::Engine::Create(std::make_shared<const model::Graph>(graph), options));
    RETURN_IF_ERROR(training->engine_->Prepare(plan::Mode::kTrain, batch));
    training->engine_->SetParameters(graph.InitialParameters(1));
    training->batch_ = RandomBatch(graph, batch);
    training->optimizer_.momentum = 0.9;
    const size_t ops = training->program().steps.size();
    training->stamps_.resize(ops + 1);
    training->ops_us_.resize(ops);
    training->engine_->SetObserver(
        [at = training.get()](size_t i) { at->stamps_[i] = base::SystemClock().Now(); });
    return training;
  }

  const plan::Program& program() const { return engine_->program(plan::Mode::kTrain, batch_.size); }
  double memory_bytes() const { return static_cast<double>(engine_->memory_bytes()); }

  // One step; returns its seconds.
  Result<double> Warm() {
    const TimePoint start = base::SystemClock().Now();
    RETURN_IF_ERROR(engine_->Train(batch_).status());
    engine_->Apply(optimizer_, 1e-6);
    return base::Seconds(base::SystemClock().Now() - start);
  }

  Status Round() {
    const TimePoint start = base::SystemClock().Now();
    RETURN_IF_ERROR(engine_->Train(batch_).status());
    const TimePoint trained = base::SystemClock().Now();
    engine_->Apply(optimizer_, 1e-6);
    update_us_.push_back(Microseconds(trained, base::SystemClock().Now()));
    load_us_.push_back(Microseconds(start, stamps_.front()) +
                       Microseconds(stamps_.back(), trained));
    for (size_t i = 0; i < ops_us_.size(); ++i) {
      ops_us_[i].push_back(Microseconds(stamps_[i], stamps_[i + 1]));
    }
    return OkStatus();
  }

  // The medians of the rounds.
  void AppendTo(plan::DeviceProfile* profile) const {
    constexpr double kLeast = 1e-3;  // us: what the clock can tell
    const double update_bytes = plan::UpdateBytes(program(), {.state_vectors = 1});
    const auto sizes = plan::SizesOf(program(), profile->cache_bytes, update_bytes);
    const auto append = [&](const plan::OpSize& size, const std::vector<double>& us) {
      profile->points.push_back({size, std::max(Median(us), kLeast)});
    };
    for (size_t i = 0; i < sizes.size(); ++i) append(sizes[i], ops_us_[i]);
    append(plan::LoadSize(program()), load_us_);
    append(plan::UpdateSize(update_bytes, profile->cache_bytes), update_us_);
  }

 private:
  TimedTraining() = default;

  std::unique_ptr<engine::Engine> engine_;
  data::Batch batch_;
  engine::OptimizerOptions optimizer_;
  std::vector<TimePoint> stamps_;  // before the first op, and after each
  std::vector<std::vector<double>> ops_us_;
  std::vector<double> load_us_, update_us_;
};

}  // namespace

Status MeasureProcess(plan::DeviceProfile* profile) {
  const std::vector<ProfileNet> nets = ProfileNets();
  // Few ops of few kinds, then many ops.
  double beside[2] = {}, ops[2] = {};
  for (int i = 0; i < 2; ++i) {
    const ProfileNet& net = nets[i == 0 ? 0 : 4];
    ASSIGN_OR_RETURN(const model::Graph graph, GraphOf(net));
    ASSIGN_OR_RETURN(const auto training, TimedTraining::Make(graph, 8, *profile));
    RETURN_IF_ERROR(training->Warm().status());
    RETURN_IF_ERROR(training->Warm().status());
    beside[i] = ReadResidentMemory().now - training->memory_bytes();
    ops[i] = static_cast<double>(training->program().steps.size());
  }
  // The library keeps the code of the first network, so the second adds its own to it.
  profile->op_bytes = std::max(0.0, (beside[1] - beside[0]) / ops[1]);
  profile->process_bytes = std::max(0.0, beside[0] - profile->op_bytes * ops[0]);
  return OkStatus();
}

Status MeasureOps(const MeasureOpsOptions& options, plan::DeviceProfile* profile) {
  const std::vector<ProfileNet> nets = ProfileNets();
  size_t left = 0;
  for (const ProfileNet& net : nets) left += options.quick ? 1 : net.batches.size();
  const TimePoint start = base::SystemClock().Now();
  const auto remaining = [&] {
    return options.seconds - base::Seconds(base::SystemClock().Now() - start);
  };
  for (const ProfileNet& net : nets) {
    ASSIGN_OR_RETURN(const model::Graph graph, GraphOf(net));
    for (size_t b = 0; b < (options.quick ? 1 : net.batches.size()); ++b, --left) {
      const int64_t batch = net.batches[b];
      // Three passes, at the rate of a matrix product: no step is faster.
      const double floor = 3 * graph.ForwardFlops() * static_cast<double>(batch) /
                           std::max(profile->sgemm_gflops, 1e-3) * 1e-9;
      if (floor * (kLeastRounds + 1) > remaining()) {
        base::LogDebug("profile: {} at batch {} left out: no time for it", net.name, batch);
        continue;
      }
      const TimePoint began = base::SystemClock().Now();
      ASSIGN_OR_RETURN(const auto training, TimedTraining::Make(graph, batch, *profile));
      const double making = base::Seconds(base::SystemClock().Now() - began);
      ASSIGN_OR_RETURN(const double warm, training->Warm());
      const double share = std::max(remaining(), 0.0) / static_cast<double>(left);
      const auto rounds =
          std::clamp(static_cast<size_t>(share / std::max(warm, 1e-6)), kLeastRounds, kMostRounds);
      for (size_t i = 0; i < rounds; ++i) RETURN_IF_ERROR(training->Round());
      training->AppendTo(profile);
      base::LogDebug("profile: {} at batch {}: made in {:.0f} ms, step {:.2f} ms, {} rounds",
                     net.name, batch, making * 1e3, warm * 1e3, rounds);
    }
  }
  return OkStatus();
}

}  // namespace weft::app
