#include "app/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "app/job_spec.h"
#include "base/clock.h"
#include "base/log.h"
#include "cluster/delta_log.h"
#include "kernel/update.h"
#include "plan/shares.h"

namespace weft::app {
namespace {

data::BatchRange RangeOf(const cluster::Lease& lease) {
  return {.epoch = lease.epoch, .begin = lease.begin, .count = lease.count};
}

cluster::UpdateEncoder::Options EncoderOptions(const Job& job, const std::string& run) {
  cluster::UpdateEncoder::Options options;
  options.size = job.graph->parameter_count();
  // What a device leaves out depends on the device, so a deterministic job does without.
  options.residual_size = job.config.job.deterministic ? 0 : job.graph->trainable_count();
  options.run = cluster::RunTag(run);
  return options;
}

// What a leader would apply to updates of several devices at once.
double MomentumAlone(const config::RunConfig& config) {
  if (config.cluster.local_steps > 1) return config.cluster.outer_momentum;
  return engine::MomentumOf(OptimizerOf(config.optimizer));
}

Status NotFinite(const char* what, double value, int64_t step) {
  return FailedPrecondition(
      fmt::format("step {}: the {} is {}, want a finite number: try a lower optimizer.lr, "
                  "optimizer.warmup_steps, or data.normalise = true",
                  step, what, value));
}

// Values that the stretch [begin, begin + count) and the range have in common.
int64_t Overlap(const cluster::Range& range, int64_t begin, int64_t count) {
  return std::max<int64_t>(0, std::min(range.end(), begin + count) - std::max(range.begin, begin));
}

plan::Mode ModeOf(const TrainerOptions& options) {
  return options.TrainsLocally() ? plan::Mode::kTrainStreaming : plan::Mode::kTrain;
}

}  // namespace

// ---- parameters in

// Decodes each piece once, when a stretch of it is wanted.
class Trainer::Arrival : public engine::ParameterGate {
 public:
  Arrival(Trainer* trainer, const cluster::Compute& compute, const TrainerHooks& hooks)
      : trainer_(trainer),
        compute_(compute),
        hooks_(hooks),
        decoded_(compute.pieces.size(), false) {}

  bool Await(int64_t begin, int64_t count) override {
    status_ = Fetch(begin, count);
    if (!status_.ok()) return false;
    trainer_->engine_->SetParameterStretch(begin, trainer_->Flat(begin, count));
    return true;
  }

  // Into the trainer's flat vector.
  Status Fetch(int64_t begin, int64_t count) {
    for (size_t i = 0; i < decoded_.size(); ++i) {
      const cluster::Piece& piece = compute_.pieces[i];
      if (decoded_[i] || Overlap(piece.range, begin, count) == 0) continue;
      const cluster::Payload values = piece.values != nullptr ? piece.values : Wait(i);
      if (values == nullptr) return {Code::kCancelled, "parameters: they did not come"};
      RETURN_IF_ERROR(
          trainer_->down_->Decode(*values, trainer_->Flat(piece.range.begin, piece.range.count))
              .Annotate("parameters"));
      decoded_[i] = true;
    }
    return OkStatus();
  }

  const Status& status() const { return status_; }
  Duration waited() const { return waited_; }

 private:
  cluster::Payload Wait(size_t piece) {
    if (!hooks_.await) return nullptr;
    const TimePoint start = base::SystemClock().Now();
    cluster::Payload values = hooks_.await(piece);
    waited_ += base::SystemClock().Now() - start;
    return values;
  }

  Trainer* trainer_;
  const cluster::Compute& compute_;
  const TrainerHooks& hooks_;
  std::vector<bool> decoded_;  // one a piece
  Status status_;
  Duration waited_{};
};

// ---- updates out

// Gathers the gradient in the trainer's flat vector and encodes each range once all of it is there.
class Trainer::Departure : public engine::GradientSink {
 public:
  Departure(Trainer* trainer, const cluster::Compute& compute, const TrainerHooks& hooks)
      : trainer_(trainer), compute_(compute), hooks_(hooks), sent_(compute.ranges.size(), false) {
    for (const cluster::Range& range : compute.ranges) missing_.push_back(range.count);
  }

  void OnLoss(const engine::StepResult& result) override {
    result_ = result;
    if (!std::isfinite(result.loss_sum)) {
      status_ = NotFinite("loss", result.loss(), compute_.lease.step);
    }
  }

  void OnStretch(int64_t begin, int64_t count) override {
    if (!status_.ok()) return;
    trainer_->engine_->GetGradientStretch(begin, trainer_->Flat(begin, count));
    bool all = true;
    for (size_t i = 0; i < missing_.size(); ++i) {
      missing_[i] -= Overlap(compute_.ranges[i], begin, count);
      all &= missing_[i] == 0;
    }
    // The last ones go with the result.
    if (!all && hooks_.on_part) status_ = SendFinal();
  }

  // All that has not left; the trainer's flat vector holds all of the update.
  Result<cluster::Worker::Update> Finish() {
    RETURN_IF_ERROR(status_);
    cluster::Worker::Update update;
    update.loss_sum = result_.loss_sum;
    update.correct = result_.correct;
    for (size_t i = 0; i < sent_.size(); ++i) {
      if (sent_[i]) continue;
      ASSIGN_OR_RETURN(cluster::Payload packet, Encode(i));
      update.parts.emplace_back(compute_.ranges[i], std::move(packet));
    }
    return update;
  }

 private:
  Status SendFinal() {
    for (size_t i = sent_.size(); i-- > 0;) {
      if (sent_[i] || missing_[i] > 0) continue;
      ASSIGN_OR_RETURN(cluster::Payload packet, Encode(i));
      hooks_.on_part(compute_.ranges[i], std::move(packet), result_.loss_sum, result_.correct);
      sent_[i] = true;
    }
    return OkStatus();
  }

  Result<cluster::Payload> Encode(size_t i) {
    const cluster::Range& range = compute_.ranges[i];
    const std::span<float> values = trainer_->Flat(range.begin, range.count);
    if (!kernel::AllFinite(values)) return NotFinite("gradient", NAN, compute_.lease.step);
    Clip(range, values);
    std::span<float> velocity;
    if (compute_.alone || trainer_->corrects_momentum_) {
      trainer_->momentum_.AddTo(range.begin, values);
    }
    if (trainer_->corrects_momentum_) {
      velocity = trainer_->momentum_.Velocity(range.begin, range.count);
    }
    return trainer_->encoder_.Encode(compute_.term, compute_.lease, range, values,
                                     compute_.VersionOf(range), velocity);
  }

  // Source: Lin et al. 2018, Deep Gradient Compression, section 3.3, local gradient clipping. Of a
  // range that is ready before the others its share of the squared norm.
  void Clip(const cluster::Range& range, std::span<float> values) const {
    const Job& job = *trainer_->job_;
    if (job.config.link.clip == 0) return;
    const int64_t trained =
        std::clamp<int64_t>(job.graph->trainable_count() - range.begin, 0, range.count);
    const std::span<float> gradient = values.first(static_cast<size_t>(trained));
    const double share =
        static_cast<double>(compute_.lease.count) / static_cast<double>(job.config.job.batch);
    const double part =
        static_cast<double>(trained) / static_cast<double>(job.graph->trainable_count());
    const double most = job.config.link.clip * std::sqrt(part / std::min(share, 1.0));
    const double norm = kernel::Norm(gradient);
    if (norm > most) kernel::Scale(static_cast<float>(most / norm), gradient);
  }

  Trainer* trainer_;
  const cluster::Compute& compute_;
  const TrainerHooks& hooks_;
  // One a range:
  std::vector<int64_t> missing_;  // values that are not final
  std::vector<bool> sent_;
  engine::StepResult result_;
  Status status_;
};

// ---- the trainer

Trainer::Trainer(std::shared_ptr<const Job> job, const TrainerOptions& options,
                 std::unique_ptr<engine::Engine> engine, std::unique_ptr<codec::Codec> up,
                 std::unique_ptr<codec::Codec> down)
    : job_(std::move(job)),
      options_(options),
      engine_(std::move(engine)),
      down_(std::move(down)),
      momentum_(job_->graph->trainable_count(), MomentumAlone(job_->config),
                job_->graph->parameter_count()),
      corrects_momentum_(CorrectsMomentum(*job_)),
      encoder_(std::move(up), EncoderOptions(*job_, options.run)),
      reader_(job_->train.get(), {.order = job_->order}),
      flat_(static_cast<size_t>(job_->graph->parameter_count())) {}

Result<std::unique_ptr<Trainer>> Trainer::Make(std::shared_ptr<const Job> job,
                                               const TrainerOptions& options) {
  engine::EngineOptions of_engine;
  of_engine.threads = options.threads;
  of_engine.kernels = job->config.cluster.kernels;
  of_engine.seed = static_cast<uint64_t>(job->config.job.seed);
  of_engine.clock = job->config.job.deterministic ? nullptr : &base::SystemClock();
  of_engine.memory_budget = options.memory_budget;
  if (options.TrainsLocally()) {
    of_engine.state_vectors = engine::StateVectors(OptimizerOf(job->config.optimizer));
  }
  if (options.memory_budget > 0) {
    // A lease of any size can go through one sample at a time if one of two samples can. Apart from
    // the engine, whose first plan settles how the weights lie.
    ASSIGN_OR_RETURN(const auto probe, engine::Engine::Create(job->graph, of_engine));
    RETURN_IF_ERROR(probe->Prepare(ModeOf(options), 2));
  }
  ASSIGN_OR_RETURN(auto engine, engine::Engine::Create(job->graph, of_engine));
  ASSIGN_OR_RETURN(auto up, codec::MakeCodec(UpCodecOf(*job)));
  ASSIGN_OR_RETURN(auto down, cluster::MakeWholeCodec(DownCodecOf(*job)));
  return std::unique_ptr<Trainer>(
      new Trainer(std::move(job), options, std::move(engine), std::move(up), std::move(down)));
}

std::span<float> Trainer::Flat(int64_t begin, int64_t count) {
  return std::span(flat_).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
}

void Trainer::ReadAhead(const cluster::Lease& lease) {
  if (CheckSamples(lease).ok()) reader_.Prefetch(RangeOf(lease));
}

Status Trainer::Keep(const cluster::KeepSamples& keep) {
  if (job_->fed == nullptr) return OkStatus();
  return job_->fed->Put(keep.indices, *keep.values);
}

void Trainer::Drop(const cluster::DropSamples& drop) {
  if (job_->fed == nullptr) return;
  const std::unordered_set<int64_t> gone(drop.indices.begin(), drop.indices.end());
  reader_.Drop([&](const data::BatchRange& range) {
    const auto is_gone = [&](int64_t index) { return gone.contains(index); };
    return std::ranges::any_of(job_->order.Indices(range), is_gone);
  });
  job_->fed->Drop(drop.indices);
}

Status Trainer::CheckSamples(const cluster::Lease& lease) const {
  if (job_->fed == nullptr) return OkStatus();
  for (const int64_t index : job_->order.Indices(RangeOf(lease))) {
    if (!job_->fed->Has(index)) return DataLoss(fmt::format("sample {} was not fed", index));
  }
  return OkStatus();
}

void Trainer::Settle(const cluster::Settled& settled) {
  encoder_.Settle(settled.term, settled.lease, settled.range, settled.applied);
}

Status Trainer::Check(const cluster::Compute& compute) const {
  const auto size = static_cast<int64_t>(flat_.size());
  const auto wrong = [&](const char* what, const cluster::Range& range) {
    return InvalidArgument(
        fmt::format("{}: got {}+{}, of a vector of {}", what, range.begin, range.count, size));
  };
  int64_t next = 0;
  for (const cluster::Piece& piece : compute.pieces) {
    const bool fits =
        piece.range.begin == next && piece.range.count >= 0 && piece.range.count <= size - next;
    if (!fits) return wrong("pieces", piece.range);
    next = piece.range.end();
  }
  if (next != size) return wrong("pieces", {0, next});
  for (const cluster::Range& range : compute.ranges) {
    const bool inside = range.begin >= 0 && range.count >= 0 && range.count <= size &&
                        range.begin <= size - range.count;
    if (!inside) return wrong("ranges", range);
  }
  return OkStatus();
}

engine::LocalOptions Trainer::LocalOptionsFor(const cluster::Compute& compute) const {
  return {.steps = compute.local_steps > 0 ? compute.local_steps : options_.local_steps,
          .least = job_->least_local_batch(),
          .optimizer = OptimizerOf(job_->config.optimizer),
          .lr = compute.lr,
          .final_statistics = options_.adapts_local_steps};
}

// Plans, and says what was given up for the memory budget. Returns the seconds of a size that is
// new, else 0.
Result<double> Trainer::Prepare(const cluster::Compute& compute) {
  const plan::Mode mode = ModeOf(options_);
  const int64_t samples = compute.lease.count;
  const int64_t steps = engine::LocalStepsOf(LocalOptionsFor(compute), samples);
  const int64_t batch = plan::EqualShares(samples, steps)[0];
  const bool is_new = !engine_->IsPrepared(mode, batch);
  const TimePoint start = base::SystemClock().Now();
  RETURN_IF_ERROR(engine_->Prepare(mode, batch));
  const double seconds = base::Seconds(base::SystemClock().Now() - start);
  const std::string& given_up = engine_->plan(mode, batch).given_up;
  if (given_up != given_up_) base::LogInfo("{}", given_up_ = given_up);
  return is_new ? seconds : 0;
}

Status Trainer::ComputeGradient(const data::Batch& batch, Arrival* arrival, Departure* departure) {
  const auto result = engine_->Train(batch, {.gate = arrival, .sink = departure});
  RETURN_IF_ERROR(arrival->status());
  return result.status();
}

Status Trainer::ComputeLocally(const data::Batch& batch, const cluster::Compute& compute,
                               Arrival* arrival, Departure* departure) {
  RETURN_IF_ERROR(arrival->Fetch(0, static_cast<int64_t>(flat_.size())));
  start_ = flat_;
  // The optimizer's state stays with the device from lease to lease, unless that would let the
  // result depend on which device computed which.
  if (job_->config.job.deterministic) engine_->ResetOptimizer();
  ASSIGN_OR_RETURN(
      const engine::StepResult result,
      engine::TrainLocally(engine_.get(), batch, LocalOptionsFor(compute), start_, flat_));
  departure->OnLoss(result);
  return OkStatus();
}

Result<cluster::Worker::Update> Trainer::Compute(const cluster::Compute& compute,
                                                 const TrainerHooks& hooks) {
  const cluster::Lease& lease = compute.lease;
  const TimePoint start = base::SystemClock().Now();
  RETURN_IF_ERROR(Check(compute));
  ASSIGN_OR_RETURN(const double plan_seconds, Prepare(compute));
  if (!compute.alone && !corrects_momentum_) momentum_.Clear();
  if (compute.target) encoder_.Aim(*compute.target);
  Arrival arrival(this, compute, hooks);
  Departure departure(this, compute, hooks);
  data::Batch batch = reader_.Get(RangeOf(lease));
  RETURN_IF_ERROR(options_.TrainsLocally() ? ComputeLocally(batch, compute, &arrival, &departure)
                                           : ComputeGradient(batch, &arrival, &departure));
  reader_.Recycle(std::move(batch));
  ASSIGN_OR_RETURN(cluster::Worker::Update update, departure.Finish());
  const double seconds =
      base::Seconds(base::SystemClock().Now() - start - arrival.waited()) - plan_seconds;
  update.samples_per_second = static_cast<double>(lease.count) / std::max(seconds, 1e-9);
  update.seconds = seconds;
  update.plan_seconds = plan_seconds;
  return update;
}

}  // namespace weft::app
