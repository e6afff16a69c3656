#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <unordered_map>

#include "base/check.h"
#include "cluster/leader.h"
#include "cluster/step_plan.h"
#include "codec/codec.h"
#include "sim/checker.h"

namespace weft::sim {
namespace {

constexpr size_t kMostKeptBytes = size_t{64} << 20;

class AppliedSum : public Checker {
 public:
  explicit AppliedSum(const cluster::JobSpec& spec)
      : spec_(spec),
        codec_(codec::MakeCodec(spec.codec_up).value()),
        total_steps_(cluster::StepPlan(spec).total_steps()),
        optimizer_(FreshOptimizer()),
        decoded_(static_cast<size_t>(spec.parameter_count())) {}
  std::string_view name() const override { return "applied-sum"; }

  void OnHubStarted(TimePoint, uint64_t, int64_t first_step) override {
    gaps_ |= !wanted_.empty();  // it died before that state could be seen
    applied_.clear();
    pushes_.clear();
    wanted_.clear();
    version_ = first_step;
    started_ = false;
    judging_ = true;
  }

  void OnEvent(TimePoint, const cluster::Event& event) override {
    const auto* saved = std::get_if<cluster::CheckpointSaved>(&event);
    if (saved == nullptr) return;
    std::erase_if(states_, [&](const State& state) { return state.version < saved->step; });
  }

  void OnSent(TimePoint now, const cluster::Envelope& envelope) override {
    if (!judging_) return;
    if (const auto* push = std::get_if<cluster::Push>(&envelope.message)) {
      if (push->gradient == nullptr) return;  // a question
      pushes_[KeyOf(push->device, push->sequence)] = {push->lease, push->gradient};
    } else if (const auto* ack = std::get_if<cluster::PushAck>(&envelope.message)) {
      if (ack->applied) applied_.push_back(KeyOf(envelope.to.device, ack->sequence));
    } else if (const auto* record = std::get_if<cluster::Committed>(&envelope.message)) {
      if (record->problem.empty()) WorkOut(now, *record);
    }
  }

  void OnHubRest(TimePoint now, const cluster::Coordinator&,
                 const cluster::Leader& leader) override {
    if (!started_) Begin(now, leader);
    if (!judging_ || leader.version() == version_) return;
    if (!wanted_.empty()) Compare(now, leader.parameters());
    wanted_.clear();
    Adopt(leader);
    Keep();
  }

 private:
  struct Update {
    cluster::Lease lease;
    cluster::Payload gradient;
  };
  struct State {
    int64_t version = 0;
    std::vector<float> parameters;
    engine::OptimizerState optimizer;
  };

  engine::Optimizer FreshOptimizer() const {
    return engine::Optimizer(spec_.optimizer, spec_.trainable_count, spec_.statistics);
  }
  static uint64_t KeyOf(cluster::DeviceId device, uint64_t sequence) {
    return (uint64_t{device} << 32) ^ sequence;
  }

  // What the parameters must be after this step.
  void WorkOut(TimePoint now, const cluster::Committed& record) {
    std::vector<double> sum(decoded_.size());
    int64_t samples = 0;
    largest_ = 0;
    for (const uint64_t key : applied_) {
      const auto it = pushes_.find(key);
      if (it == pushes_.end() || it->second.lease.step != record.step) continue;
      if (!codec_->Decode(*it->second.gradient, decoded_).ok()) continue;
      samples += it->second.lease.count;
      for (size_t i = 0; i < sum.size(); ++i) {
        sum[i] += static_cast<double>(it->second.lease.count) * static_cast<double>(decoded_[i]);
        largest_ = std::max(largest_, std::abs(static_cast<double>(decoded_[i])));
      }
    }
    applied_.clear();
    std::erase_if(pushes_,
                  [&](const auto& entry) { return entry.second.lease.step <= record.step; });
    if (!started_) return;
    if (samples != record.samples) {
      Violate(now, fmt::format("step {}: {} samples are acknowledged as applied; want {}",
                               record.step, samples, record.samples));
    }
    std::vector<float> mean(sum.size());
    for (size_t i = 0; i < sum.size(); ++i) {
      mean[i] = static_cast<float>(sum[i] / static_cast<double>(record.samples));
    }
    rate_ = engine::LearningRate(spec_.schedule, record.step, total_steps_);
    wanted_ = parameters_;
    optimizer_.Apply(rate_, mean, wanted_);
  }

  // Finds the state that the hub goes on from: of this line of history or of one that it had left.
  void Begin(TimePoint now, const cluster::Leader& leader) {
    started_ = true;
    optimizer_ = FreshOptimizer();
    if (states_.empty() && version_ == 0) {
      Adopt(leader);
      return Keep();
    }
    const auto is_it = [&](const State& state) {
      return state.version == version_ && std::ranges::equal(state.parameters, leader.parameters());
    };
    const auto found = std::ranges::find_if(states_, is_it);
    judging_ = found != states_.end();
    if (judging_) {
      parameters_ = found->parameters;
      if (version_ > 0) CHECK(optimizer_.Restore(found->optimizer).ok());
      return;
    }
    const bool known = std::ranges::find(states_, version_, &State::version) != states_.end();
    if (known && !gaps_) {
      Violate(now, fmt::format("the hub goes on from version {} with parameters that it never had; "
                               "want the same bits",
                               version_));
    }
    gaps_ = true;
  }

  // Rounding: the leader adds up in f32 and in any order. AdamW divides by the gradient's own size,
  // so that where it is nearly nothing its rounding is a part of the rate.
  double Tolerance(size_t i) const {
    const bool adamw = spec_.optimizer.kind == engine::OptimizerOptions::Kind::kAdamw;
    const auto before = static_cast<double>(parameters_[i]);
    return 1e-5 * std::abs(before) + 1e-4 * std::abs(static_cast<double>(wanted_[i]) - before) +
           (adamw ? 0.02 * rate_ : 1e-4 * rate_ * largest_) + 1e-6 * largest_;
  }

  void Compare(TimePoint now, std::span<const float> got) {
    for (size_t i = 0; i < wanted_.size(); ++i) {
      if (!std::isfinite(wanted_[i])) return;
      const double off = std::abs(static_cast<double>(got[i]) - static_cast<double>(wanted_[i]));
      if (off <= Tolerance(i)) continue;
      Violate(now, fmt::format("version {}: parameter {} is {:g}; want {:g}, what the updates that "
                               "were applied make of {:g}",
                               version_ + 1, i, got[i], wanted_[i], parameters_[i]));
      return;
    }
  }

  // Rounding must not add up over steps, so each begins with the leader's own numbers.
  void Adopt(const cluster::Leader& leader) {
    parameters_.assign(leader.parameters().begin(), leader.parameters().end());
    version_ = leader.version();
  }

  void Keep() {
    states_.push_back({version_, parameters_, optimizer_.state()});
    const size_t bytes =
        parameters_.size() * sizeof(float) * (1 + engine::StateVectors(spec_.optimizer));
    if (states_.size() * bytes <= kMostKeptBytes) return;
    states_.pop_front();
    gaps_ = true;
  }

  const cluster::JobSpec spec_;
  const std::unique_ptr<codec::Codec> codec_;
  const int64_t total_steps_;
  engine::Optimizer optimizer_;
  bool judging_ = false;  // the state before the next step is known
  bool started_ = false;  // the parameters it starts with have been looked at
  bool gaps_ = false;     // there were states that states_ does not hold
  int64_t version_ = 0;   // of parameters_
  std::vector<float> parameters_;
  std::vector<float> wanted_;      // after the step whose record was sent; empty: none was
  double rate_ = 0;                // of that step
  double largest_ = 0;             // |value| of its updates
  std::vector<float> decoded_;     // scratch
  std::vector<uint64_t> applied_;  // updates acknowledged since the last record
  std::unordered_map<uint64_t, Update> pushes_;
  std::deque<State> states_;  // from the last saved checkpoint on, as they came to be
};

}  // namespace

std::unique_ptr<Checker> MakeAppliedSumChecker(const cluster::JobSpec& spec) {
  return std::make_unique<AppliedSum>(spec);
}

}  // namespace weft::sim
