#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "kernel/update.h"

namespace weft::engine {

using plan::Mode;
using plan::Place;
using plan::Program;

struct Engine::Bound {
  Program program;
  std::vector<std::unique_ptr<kernel::Kernel>> kernels;
  std::vector<std::unique_ptr<kernel::Kernel>> gradients;  // to staging; null where plain
};

// One parameter between its kernel layout and the flat vector, by way of the staging buffer. Plain
// ones are copied directly.
struct Engine::Exchange {
  std::unique_ptr<const kernel::Op> to_kernel;  // null: plain
  std::unique_ptr<const kernel::Op> to_flat;
  std::unique_ptr<kernel::Kernel> set;
  std::unique_ptr<kernel::Kernel> get;
};

namespace {

float* At(const tensor::Arena& arena, size_t offset) { return arena.floats(offset); }

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Create(std::shared_ptr<const model::Graph> graph,
                                               const EngineOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<kernel::Backend> backend,
                   kernel::MakeBackend(options.kernels, {.threads = options.threads}));
  return std::unique_ptr<Engine>(new Engine(std::move(graph), options, std::move(backend)));
}

Engine::Engine(std::shared_ptr<const model::Graph> graph, const EngineOptions& options,
               std::unique_ptr<kernel::Backend> backend)
    : graph_(std::move(graph)), options_(options), backend_(std::move(backend)) {}

Engine::~Engine() = default;

Status Engine::Prepare(Mode mode, int64_t batch) {
  const auto key = std::make_pair(mode, batch);
  if (bound_.contains(key)) return OkStatus();
  plan::CompileOptions compile;
  compile.mode = mode;
  compile.batch = batch;
  compile.seed = options_.seed;
  compile.parameter_layouts = parameter_layouts_;
  ASSIGN_OR_RETURN(Program program, plan::Compile(*graph_, backend_.get(), compile));
  if (parameter_layouts_.empty()) RETURN_IF_ERROR(PlaceParameters(program));
  auto bound = std::make_unique<Bound>();
  bound->program = std::move(program);
  if (bound->program.arena_bytes > arena_.size()) {
    // The programs share one arena, so all of them move to the larger one.
    arena_ = tensor::Arena();
    arena_ = tensor::Arena(bound->program.arena_bytes);
    for (auto& [other_key, other] : bound_) Bind(other.get());
    last_trained_ = nullptr;
  }
  Bind(bound.get());
  bound_[key] = std::move(bound);
  return OkStatus();
}

Status Engine::PlaceParameters(const Program& program) {
  parameters_ = tensor::Arena(program.parameter_bytes);
  size_t staging_bytes = 0;
  for (size_t i = 0; i < program.parameters.size(); ++i) {
    const plan::Value& value = program.values[static_cast<size_t>(program.parameters[i].weights)];
    parameter_layouts_.push_back(value.layout);
    parameter_offsets_.push_back(value.offset);
    const kernel::Layout plain(value.layout.shape());
    if (!value.layout.plain()) staging_bytes = std::max(staging_bytes, plain.bytes());
  }
  staging_ = tensor::Arena(staging_bytes);
  size_t scratch_bytes = 0;
  for (size_t i = 0; i < parameter_layouts_.size(); ++i) {
    Exchange exchange;
    const kernel::Layout& layout = parameter_layouts_[i];
    if (!layout.plain()) {
      const kernel::Layout plain(layout.shape());
      ASSIGN_OR_RETURN(exchange.to_kernel, backend_->Reorder(plain, layout));
      ASSIGN_OR_RETURN(exchange.to_flat, backend_->Reorder(layout, plain));
      scratch_bytes = std::max(
          {scratch_bytes, exchange.to_kernel->scratch_bytes(), exchange.to_flat->scratch_bytes()});
    }
    exchanges_.push_back(std::move(exchange));
  }
  exchange_scratch_ = tensor::Arena(scratch_bytes);
  for (size_t i = 0; i < exchanges_.size(); ++i) {
    Exchange& exchange = exchanges_[i];
    if (exchange.to_kernel == nullptr) continue;
    void* const kernel_side = At(parameters_, parameter_offsets_[i]);
    void* const set_args[] = {staging_.data(), kernel_side};
    void* const get_args[] = {kernel_side, staging_.data()};
    exchange.set = exchange.to_kernel->Bind(set_args, exchange_scratch_.data());
    exchange.get = exchange.to_flat->Bind(get_args, exchange_scratch_.data());
  }
  return OkStatus();
}

void Engine::Bind(Bound* bound) {
  const Program& program = bound->program;
  bound->kernels.clear();
  bound->gradients.clear();
  const auto address = [&](int index) -> void* {
    const plan::Value& value = program.values[static_cast<size_t>(index)];
    return At(value.place == Place::kArena ? arena_ : parameters_, value.offset);
  };
  for (const plan::Step& step : program.steps) {
    std::vector<void*> args;
    for (const int arg : step.args) args.push_back(address(arg));
    bound->kernels.push_back(step.op->Bind(args, arena_.data() + step.scratch_offset));
  }
  if (program.mode != Mode::kTrain) return;
  for (size_t i = 0; i < program.parameters.size(); ++i) {
    std::unique_ptr<kernel::Kernel> get;
    if (exchanges_[i].to_flat != nullptr) {
      void* const args[] = {address(program.parameters[i].gradient), staging_.data()};
      get = exchanges_[i].to_flat->Bind(args, exchange_scratch_.data());
    }
    bound->gradients.push_back(std::move(get));
  }
}

const Program& Engine::program(Mode mode, int64_t batch) const {
  const auto found = bound_.find({mode, batch});
  CHECK(found != bound_.end()) << "Prepare first";
  return found->second->program;
}

void Engine::SetParameters(std::span<const float> flat) {
  CHECK_EQ(flat.size(), static_cast<size_t>(graph_->parameter_count()));
  CHECK(!parameter_layouts_.empty()) << "Prepare first";
  for (size_t i = 0; i < exchanges_.size(); ++i) {
    const model::Parameter& parameter = graph_->parameters()[i];
    const size_t bytes = static_cast<size_t>(parameter.shape.elements()) * sizeof(float);
    const float* from = flat.data() + parameter.offset;
    if (exchanges_[i].set == nullptr) {
      std::memcpy(At(parameters_, parameter_offsets_[i]), from, bytes);
    } else {
      std::memcpy(staging_.data(), from, bytes);
      exchanges_[i].set->Run();
    }
  }
}

void Engine::GetParameters(std::span<float> flat) const {
  CHECK_EQ(flat.size(), static_cast<size_t>(graph_->parameter_count()));
  for (size_t i = 0; i < exchanges_.size(); ++i) {
    const model::Parameter& parameter = graph_->parameters()[i];
    const size_t bytes = static_cast<size_t>(parameter.shape.elements()) * sizeof(float);
    const void* from = At(parameters_, parameter_offsets_[i]);
    if (exchanges_[i].get != nullptr) {
      exchanges_[i].get->Run();
      from = staging_.data();
    }
    std::memcpy(flat.data() + parameter.offset, from, bytes);
  }
}

void Engine::GetGradient(std::span<float> flat) const {
  CHECK_EQ(flat.size(), static_cast<size_t>(graph_->parameter_count()));
  CHECK(last_trained_ != nullptr) << "Train first";
  const Program& program = last_trained_->program;
  for (size_t i = 0; i < exchanges_.size(); ++i) {
    const model::Parameter& parameter = graph_->parameters()[i];
    const plan::ParameterValues& values = program.parameters[i];
    const auto n = static_cast<size_t>(parameter.shape.elements());
    const plan::Value& gradient = program.values[static_cast<size_t>(values.gradient)];
    const void* from = At(arena_, gradient.offset);
    if (last_trained_->gradients[i] != nullptr) {
      last_trained_->gradients[i]->Run();
      from = staging_.data();
    }
    float* to = flat.data() + parameter.offset;
    std::memcpy(to, from, n * sizeof(float));
    if (values.gradient_scale != 1) kernel::Scale(values.gradient_scale, {to, n});
  }
}

Status Engine::Run(Mode mode, const data::Batch& batch, Bound** bound) {
  RETURN_IF_ERROR(Prepare(mode, batch.size));
  *bound = bound_.find({mode, batch.size})->second.get();
  const Program& program = (*bound)->program;
  const auto fill = [&](int index, const void* from, size_t bytes) {
    const plan::Value& value = program.values[static_cast<size_t>(index)];
    CHECK_EQ(value.bytes, bytes) << value.name;
    std::memcpy(At(arena_, value.offset), from, bytes);
  };
  fill(program.samples, batch.samples.data(), batch.samples.size() * sizeof(float));
  if (program.labels >= 0) {
    fill(program.labels, batch.labels.data(), batch.labels.size() * sizeof(int32_t));
  }
  if (program.keys >= 0) {
    fill(program.keys, batch.keys.data(), batch.keys.size() * sizeof(uint64_t));
  }
  const auto& kernels = (*bound)->kernels;
  if (observer_) observer_(0);
  for (size_t i = 0; i < kernels.size(); ++i) {
    kernels[i]->Run();
    if (observer_) observer_(i + 1);
  }
  return OkStatus();
}

Result<StepResult> Engine::ReadStats(const Bound& bound, const data::Batch& batch) const {
  const plan::Value& value = bound.program.values[static_cast<size_t>(bound.program.stats)];
  const auto& stats = *reinterpret_cast<const kernel::LossStats*>(arena_.data() + value.offset);
  if (stats.bad_label >= 0) {
    return InvalidArgument(
        fmt::format("label of sample {} of the batch: got {}, want 0..{}", stats.bad_label,
                    batch.labels[static_cast<size_t>(stats.bad_label)], graph_->classes() - 1));
  }
  return StepResult{stats.loss_sum, stats.correct, batch.size};
}

Result<StepResult> Engine::Train(const data::Batch& batch) {
  Bound* bound = nullptr;
  RETURN_IF_ERROR(Run(Mode::kTrain, batch, &bound));
  last_trained_ = bound;
  return ReadStats(*bound, batch);
}

Result<StepResult> Engine::Evaluate(const data::Batch& batch) {
  last_trained_ = nullptr;  // the arena is shared
  Bound* bound = nullptr;
  RETURN_IF_ERROR(Run(Mode::kEvaluate, batch, &bound));
  return ReadStats(*bound, batch);
}

Status Engine::Predict(const data::Batch& batch, std::span<float> logits) {
  last_trained_ = nullptr;
  Bound* bound = nullptr;
  RETURN_IF_ERROR(Run(Mode::kPredict, batch, &bound));
  const plan::Value& value = bound->program.values[static_cast<size_t>(bound->program.logits)];
  CHECK_EQ(value.bytes, logits.size_bytes());
  std::memcpy(logits.data(), At(arena_, value.offset), value.bytes);
  return OkStatus();
}

void Engine::Apply(const OptimizerOptions& options, double lr) {
  CHECK(last_trained_ != nullptr) << "Train first";
  const size_t vectors = StateVectors(options);
  if (optimizer_state_.size() < vectors * parameters_.size()) {
    optimizer_state_ = tensor::Arena(vectors * parameters_.size());
  }
  ++optimizer_steps_;
  const Program& program = last_trained_->program;
  for (size_t i = 0; i < parameter_layouts_.size(); ++i) {
    const model::Parameter& parameter = graph_->parameters()[i];
    const size_t n = parameter_layouts_[i].floats();
    const size_t offset = parameter_offsets_[i];
    const plan::ParameterValues& values = program.parameters[i];
    const std::span<float> weights(At(parameters_, offset), n);
    const std::span<const float> gradient(
        At(arena_, program.values[static_cast<size_t>(values.gradient)].offset), n);
    if (!parameter.trainable()) {
      const auto momentum = static_cast<float>(parameter.momentum);
      kernel::Scale(1 - momentum, weights);
      kernel::Axpy(momentum * values.gradient_scale, gradient, weights);
      continue;
    }
    const auto state = [&](size_t vector) {
      return vector < vectors
                 ? std::span<float>(At(optimizer_state_, vector * parameters_.size() + offset), n)
                 : std::span<float>();
    };
    UpdateStretch(options, lr, optimizer_steps_, gradient, weights, state(0), state(1));
  }
}

size_t Engine::memory_bytes() const {
  return arena_.size() + parameters_.size() + staging_.size() + exchange_scratch_.size() +
         optimizer_state_.size();
}

}  // namespace weft::engine
