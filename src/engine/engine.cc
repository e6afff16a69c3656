#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "kernel/update.h"
#include "plan/gradient_times.h"

namespace weft::engine {

using plan::Mode;
using plan::Place;
using plan::Program;

namespace {

// Calls `each` with the index and the values of every parameter of a stretch.
template <class Values, class Each>
void ForEachParameter(const model::Graph& graph, int64_t begin, Values values, const Each& each) {
  const int64_t end = begin + static_cast<int64_t>(values.size());
  int64_t next = begin;
  for (size_t i = 0; i < graph.parameters().size(); ++i) {
    const model::Parameter& parameter = graph.parameters()[i];
    if (parameter.offset < begin || parameter.offset >= end) continue;
    const int64_t count = parameter.shape.elements();
    CHECK(parameter.offset == next && next + count <= end) << "not of whole parameters";
    each(i, values.subspan(static_cast<size_t>(next - begin), static_cast<size_t>(count)));
    next += count;
  }
  CHECK_EQ(next, end) << "not of whole parameters";
}

}  // namespace

struct Engine::Bound {
  const Program* program = nullptr;
  std::vector<std::unique_ptr<kernel::Kernel>> kernels;  // one a step; null: a hand-over
  // Of training programs:
  std::vector<plan::Stretch> reads;   // plan::FirstReads
  std::vector<plan::Stretch> finals;  // plan::FinalGradients
};

struct Engine::Prepared {
  uint64_t used = 0;  // uses_ when it was used last
  plan::BatchPlan plan;
  std::vector<Bound> bound;          // one a program
  ParameterStore::Reader gradients;  // kTrain only
};

struct Engine::Update {
  const OptimizerOptions* optimizer = nullptr;  // null: gradients are only added up
  double lr = 0;
  bool divided = false;  // gradients are added up over the parts
  bool first = true;     // the part is the first one
  bool last = true;
  float share = 1;  // of the part's samples in the batch
};

// Through the steps of one program, in order.
class Engine::Hooks {
 public:
  Hooks(const Bound& bound, const TrainHooks& hooks)
      : gate_(hooks.gate), sink_(hooks.sink), read_(bound.reads), final_(bound.finals) {}

  Status BeforeStep(size_t step) {
    while (gate_ != nullptr && IsNext(read_, step)) {
      const plan::Stretch stretch = Take(&read_);
      if (!gate_->Await(stretch.begin, stretch.count)) {
        return {Code::kCancelled, "the parameters did not come"};
      }
    }
    return OkStatus();
  }
  void OnLoss(const StepResult& result) {
    if (sink_ != nullptr) sink_->OnLoss(result);
  }
  void AfterStep(size_t step) {
    while (sink_ != nullptr && IsNext(final_, step)) {
      const plan::Stretch stretch = Take(&final_);
      sink_->OnStretch(stretch.begin, stretch.count);
    }
  }

 private:
  using Stretches = std::span<const plan::Stretch>;
  static bool IsNext(const Stretches& list, size_t step) {
    return !list.empty() && list.front().step == static_cast<int>(step);
  }
  static plan::Stretch Take(Stretches* list) {
    const plan::Stretch first = list->front();
    *list = list->subspan(1);
    return first;
  }

  ParameterGate* gate_;
  GradientSink* sink_;
  Stretches read_;   // not asked for yet
  Stretches final_;  // not told yet
};

Result<std::unique_ptr<Engine>> Engine::Create(std::shared_ptr<const model::Graph> graph,
                                               const EngineOptions& options) {
  ASSIGN_OR_RETURN(
      std::unique_ptr<kernel::Backend> backend,
      kernel::MakeBackend(options.kernels, {.threads = options.threads, .clock = options.clock}));
  return std::unique_ptr<Engine>(new Engine(std::move(graph), options, std::move(backend)));
}

Engine::Engine(std::shared_ptr<const model::Graph> graph, const EngineOptions& options,
               std::unique_ptr<kernel::Backend> backend)
    : graph_(std::move(graph)),
      options_(options),
      backend_(std::move(backend)),
      parameters_(graph_.get()) {}

Engine::~Engine() = default;

Status Engine::Prepare(Mode mode, int64_t batch) {
  const auto key = std::make_pair(mode, batch);
  ++uses_;
  if (const auto found = prepared_.find(key); found != prepared_.end()) {
    found->second->used = uses_;
    return OkStatus();
  }
  plan::FitOptions fit;
  fit.compile.mode = mode;
  fit.compile.batch = batch;
  fit.compile.seed = options_.seed;
  fit.compile.parameter_layouts = parameters_.layouts();
  fit.budget_bytes = options_.memory_budget;
  fit.state_vectors = options_.state_vectors;
  auto prepared = std::make_unique<Prepared>();
  ASSIGN_OR_RETURN(prepared->plan, plan::FitMemory(*graph_, backend_.get(), fit));
  ForgetOldest(mode);
  RETURN_IF_ERROR(MakeRoom(prepared->plan));
  Bind(prepared.get());
  prepared->used = uses_;
  prepared_[key] = std::move(prepared);
  return OkStatus();
}

bool Engine::IsPrepared(Mode mode, int64_t batch) const {
  return prepared_.contains({mode, batch});
}

// Makes way for one more plan of the mode.
void Engine::ForgetOldest(Mode mode) {
  const auto end = prepared_.upper_bound({mode, INT64_MAX});
  auto oldest = end;
  size_t count = 0;
  for (auto it = prepared_.lower_bound({mode, 0}); it != end; ++it, ++count) {
    if (oldest == end || it->second->used < oldest->second->used) oldest = it;
  }
  if (count < kPreparedSizes) return;
  if (oldest->second.get() == last_trained_) last_trained_ = nullptr;
  prepared_.erase(oldest);
}

Status Engine::MakeRoom(const plan::BatchPlan& plan) {
  if (parameters_.size() == 0) {
    RETURN_IF_ERROR(parameters_.Place(plan.programs[0], backend_.get()));
  }
  if (plan.divided() && gradients_.size() == 0) {
    // What was planned for whole batches did not reckon with this vector.
    if (options_.memory_budget > 0) prepared_.clear();
    gradients_ = tensor::Arena(parameters_.bytes());
    last_trained_ = nullptr;
  }
  ResizeArena(plan);
  return OkStatus();
}

// The programs share one arena, so all of them move to another one: if a new plan needs more, or
// if what is left needs much less.
void Engine::ResizeArena(const plan::BatchPlan& plan) {
  size_t wanted = 0;
  const auto add = [&](const plan::BatchPlan& each) {
    for (const Program& program : each.programs) wanted = std::max(wanted, program.arena_bytes);
  };
  add(plan);
  for (const auto& [key, other] : prepared_) add(other->plan);
  if (wanted <= arena_.size() && wanted >= arena_.size() - arena_.size() / 4) return;
  arena_.Resize(wanted);
  arena_.Populate();
  for (auto& [key, other] : prepared_) Bind(other.get());
  last_trained_ = nullptr;
}

uint8_t* Engine::At(const Program& program, int value) const {
  const plan::Value& v = program.values[static_cast<size_t>(value)];
  return (v.place == Place::kArena ? arena_.data() : parameters_.data()) + v.offset;
}

void Engine::Bind(Prepared* prepared) {
  prepared->bound.clear();
  for (const Program& program : prepared->plan.programs) {
    Bound& bound = prepared->bound.emplace_back();
    bound.program = &program;
    for (const plan::Step& step : program.steps) {
      std::vector<void*> args;
      for (const int arg : step.args) args.push_back(At(program, arg));
      bound.kernels.push_back(
          step.op == nullptr ? nullptr : step.op->Bind(args, arena_.data() + step.scratch_offset));
    }
    if (program.mode == Mode::kTrain || program.mode == Mode::kTrainStreaming) {
      bound.reads = plan::FirstReads(*graph_, program);
      bound.finals = plan::FinalGradients(*graph_, program);
    }
  }
  const Program& program = prepared->plan.programs[0];
  const bool divided = prepared->plan.divided();
  if (program.mode != Mode::kTrain && !divided) return;
  std::vector<void*> gradients;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    gradients.push_back(divided ? static_cast<void*>(parameters_.In(gradients_, i).data())
                                : At(program, program.parameters[i].gradient));
  }
  prepared->gradients = parameters_.BindReader(gradients);
}

const plan::BatchPlan& Engine::plan(Mode mode, int64_t batch) const {
  const auto found = prepared_.find({mode, batch});
  CHECK(found != prepared_.end()) << "Prepare first";
  return found->second->plan;
}

Result<Engine::Prepared*> Engine::Find(Mode mode, int64_t batch) {
  RETURN_IF_ERROR(Prepare(mode, batch));
  last_trained_ = nullptr;  // the arena is shared
  return prepared_.find({mode, batch})->second.get();
}

// One part's samples of the batch, from sample `begin` on.
void Engine::Fill(const Program& program, const data::Batch& batch, int64_t begin) {
  const auto fill = [&](int index, const auto& from, size_t each) {
    if (index < 0) return;
    const size_t bytes = static_cast<size_t>(program.batch) * each * sizeof(from[0]);
    CHECK_EQ(program.values[static_cast<size_t>(index)].bytes, bytes);
    CHECK_EQ(from.size(), static_cast<size_t>(batch.size) * each);
    std::memcpy(At(program, index), from.data() + static_cast<size_t>(begin) * each, bytes);
  };
  fill(program.samples, batch.samples, static_cast<size_t>(graph_->input().elements()));
  fill(program.labels, batch.labels, 1);
  fill(program.keys, batch.keys, 1);
}

Status Engine::AddStats(const Program& program, const data::Batch& batch, int64_t begin,
                        StepResult* result) const {
  const auto& stats = *reinterpret_cast<const kernel::LossStats*>(At(program, program.stats));
  if (stats.bad_label >= 0) {
    const int64_t sample = begin + stats.bad_label;
    return InvalidArgument(fmt::format("label of sample {} of the batch: got {}, want 0..{}",
                                       sample, batch.labels[static_cast<size_t>(sample)],
                                       graph_->classes() - 1));
  }
  result->loss_sum += stats.loss_sum;
  result->correct += stats.correct;
  result->samples += program.batch;
  return OkStatus();
}

// Gradients that a step hands over: to the update at once, or to the sum over the parts.
void Engine::TakeGradient(const Program& program, size_t i, const Update& update) {
  const plan::ParameterValues& values = program.parameters[i];
  const size_t n = parameters_.layouts()[i].floats();
  const std::span<const float> gradient(
      reinterpret_cast<const float*>(At(program, values.gradient)), n);
  if (!update.divided) return UpdateParameter(i, gradient, values.gradient_scale, update);
  const std::span<float> sum = parameters_.In(gradients_, i);
  const float weight = update.share * values.gradient_scale;
  if (update.first) {
    std::memcpy(sum.data(), gradient.data(), gradient.size_bytes());
    kernel::Scale(weight, sum, options_.threads);
  } else {
    kernel::Axpy(weight, gradient, sum, options_.threads);
  }
  if (update.last && update.optimizer != nullptr) UpdateParameter(i, sum, 1, update);
}

Status Engine::RunPart(const Bound& bound, const data::Batch& batch, int64_t begin,
                       const Update& update, Hooks hooks, StepResult* result) {
  const Program& program = *bound.program;
  Fill(program, batch, begin);
  if (observer_ != nullptr) observer_->BeforeSteps();
  for (size_t s = 0; s < program.steps.size(); ++s) {
    RETURN_IF_ERROR(hooks.BeforeStep(s));
    if (bound.kernels[s] != nullptr) {
      bound.kernels[s]->Run();
    } else {
      TakeGradient(program, static_cast<size_t>(program.steps[s].parameter), update);
    }
    if (observer_ != nullptr) observer_->AfterStep(program.steps[s]);
    if (static_cast<int>(s) + 1 == program.backward_begin) {
      RETURN_IF_ERROR(AddStats(program, batch, begin, result));
      hooks.OnLoss(*result);
    }
    hooks.AfterStep(s);
  }
  return OkStatus();
}

Result<StepResult> Engine::Run(const Prepared& prepared, const data::Batch& batch,
                               const Update& update, const TrainHooks& hooks) {
  const plan::BatchPlan& plan = prepared.plan;
  StepResult result;
  Update part = update;
  part.divided = plan.divided();
  int64_t begin = 0;
  for (size_t i = 0; i < plan.parts.size(); ++i) {
    part.first = i == 0;
    part.last = i + 1 == plan.parts.size();
    part.share = static_cast<float>(plan.parts[i]) / static_cast<float>(batch.size);
    const Bound& bound = prepared.bound[plan.program_of(i)];
    const Hooks of_part(bound, {.gate = part.first ? hooks.gate : nullptr,
                                .sink = part.last ? hooks.sink : nullptr});
    RETURN_IF_ERROR(RunPart(bound, batch, begin, part, of_part, &result));
    begin += plan.parts[i];
  }
  return result;
}

Result<StepResult> Engine::Train(const data::Batch& batch, const TrainHooks& hooks) {
  ASSIGN_OR_RETURN(const Prepared* const prepared, Find(Mode::kTrain, batch.size));
  last_trained_ = prepared;  // the sink asks for its gradient
  auto result = Run(*prepared, batch, {}, hooks);
  if (!result.ok()) last_trained_ = nullptr;
  return result;
}

Result<StepResult> Engine::Evaluate(const data::Batch& batch) {
  ASSIGN_OR_RETURN(const Prepared* const prepared, Find(Mode::kEvaluate, batch.size));
  return Run(*prepared, batch, {});
}

Status Engine::Predict(const data::Batch& batch, std::span<float> logits) {
  ASSIGN_OR_RETURN(const Prepared* const prepared, Find(Mode::kPredict, batch.size));
  RETURN_IF_ERROR(Run(*prepared, batch, {}).status());
  const Program& program = prepared->plan.programs[0];
  CHECK_EQ(program.values[static_cast<size_t>(program.logits)].bytes, logits.size_bytes());
  std::memcpy(logits.data(), At(program, program.logits), logits.size_bytes());
  return OkStatus();
}

void Engine::ReadGradient(size_t i, std::span<float> plain) const {
  const plan::BatchPlan& plan = last_trained_->plan;
  last_trained_->gradients.Read(i, plain);
  const float scale = plan.divided() ? 1 : plan.programs[0].parameters[i].gradient_scale;
  if (scale != 1) kernel::Scale(scale, plain);
}

void Engine::GetGradient(std::span<float> flat) const {
  CHECK_EQ(flat.size(), static_cast<size_t>(graph_->parameter_count()));
  GetGradientStretch(0, flat);
}

void Engine::GetGradientStretch(int64_t begin, std::span<float> plain) const {
  CHECK(last_trained_ != nullptr) << "Train first";
  ForEachParameter(*graph_, begin, plain,
                   [&](size_t i, std::span<float> values) { ReadGradient(i, values); });
}

void Engine::SetParameterStretch(int64_t begin, std::span<const float> plain) {
  ForEachParameter(*graph_, begin, plain,
                   [&](size_t i, std::span<const float> values) { parameters_.Set(i, values); });
}

void Engine::BeginUpdate(const OptimizerOptions& options) {
  const size_t bytes = StateVectors(options) * parameters_.bytes();
  if (optimizer_state_.size() < bytes) optimizer_state_ = tensor::Arena(bytes);
  ++optimizer_steps_;
}

void Engine::ResetOptimizer() {
  optimizer_state_ = tensor::Arena();
  optimizer_steps_ = 0;
}

void Engine::ExchangeOptimizer(OptimizerMemory* memory) {
  std::swap(optimizer_state_, memory->state);
  std::swap(optimizer_steps_, memory->steps);
}

void Engine::UpdateParameter(size_t i, std::span<const float> gradient, float gradient_scale,
                             const Update& update) {
  const model::Parameter& parameter = graph_->parameters()[i];
  const std::span<float> weights = parameters_.values(i);
  if (!parameter.trainable()) {
    const auto momentum = static_cast<float>(parameter.momentum);
    kernel::Scale(1 - momentum, weights);
    kernel::Axpy(momentum * gradient_scale, gradient, weights);
    return;
  }
  const auto state = [&](size_t vector) {
    const size_t offset = vector * parameters_.bytes() + parameters_.offset(i);
    return vector < StateVectors(*update.optimizer)
               ? std::span<float>(optimizer_state_.floats(offset), weights.size())
               : std::span<float>();
  };
  UpdateStretch(*update.optimizer, update.lr, optimizer_steps_, gradient, weights, state(0),
                state(1), options_.threads);
}

void Engine::Apply(const OptimizerOptions& options, double lr) {
  CHECK(last_trained_ != nullptr) << "Train first";
  BeginUpdate(options);
  const plan::BatchPlan& plan = last_trained_->plan;
  const Program& program = plan.programs[0];
  const Update update = {.optimizer = &options, .lr = lr};
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (plan.divided()) {
      UpdateParameter(i, parameters_.In(gradients_, i), 1, update);
      continue;
    }
    const plan::ParameterValues& values = program.parameters[i];
    const std::span<const float> gradient(
        reinterpret_cast<const float*>(At(program, values.gradient)),
        parameters_.layouts()[i].floats());
    UpdateParameter(i, gradient, values.gradient_scale, update);
  }
}

Result<StepResult> Engine::TrainAndApply(const data::Batch& batch, const OptimizerOptions& options,
                                         double lr) {
  ASSIGN_OR_RETURN(const Prepared* const prepared, Find(Mode::kTrainStreaming, batch.size));
  BeginUpdate(options);
  auto result = Run(*prepared, batch, {.optimizer = &options, .lr = lr});
  if (!result.ok()) --optimizer_steps_;
  return result;
}

size_t Engine::memory_bytes() const {
  return arena_.size() + parameters_.bytes() + parameters_.exchange_bytes() + gradients_.size() +
         optimizer_state_.size();
}

}  // namespace weft::engine
