#include "tests/reference_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/doc.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "kernel/update.h"

namespace weft::tests {
namespace {

using base::Doc;

Status ReadNumbers(const Doc& doc, const char* key, std::map<std::string, double>* values) {
  const Doc* table = doc.Find(key);
  if (table == nullptr) return InvalidArgument(fmt::format("{}: is missing", key));
  for (const auto& [name, value] : table->table) (*values)[name] = value.number;
  return OkStatus();
}

// The reference strays from itself by `float32` between precisions; ten times that is a good
// float32 engine.
double Tolerance(const Doc& doc, const char* key) {
  const Doc* table = doc.Find("float32_deviation");
  const Doc* value = table == nullptr ? nullptr : table->Find(key);
  return value == nullptr ? 0.0 : 10 * value->number;
}

std::vector<float> StartingParameters(const model::Graph& graph) {
  using Kind = model::Parameter::Kind;
  std::vector<float> values(static_cast<size_t>(graph.parameter_count()));
  uint64_t number = 0;
  for (const model::Parameter& parameter : graph.parameters()) {
    if (parameter.trainable()) ++number;
    const int64_t n = parameter.shape.elements();
    const double fan_in = static_cast<double>(n) / static_cast<double>(parameter.shape[0]);
    for (int64_t i = 0; i < n; ++i) {
      const double u = 2 * base::Uniform(number, static_cast<uint64_t>(i)) - 1;
      double value = 0;
      if (parameter.kind == Kind::kWeight) value = u * std::sqrt(6 / fan_in);
      if (parameter.kind == Kind::kBias) value = 0.05 * u;
      if (parameter.kind == Kind::kGamma) value = 1 + 0.1 * u;
      if (parameter.kind == Kind::kBeta) value = 0.1 * u;
      if (parameter.kind == Kind::kRunningVariance) value = 1;
      values[static_cast<size_t>(parameter.offset + i)] = static_cast<float>(value);
    }
  }
  return values;
}

data::Batch BatchOfStep(const ReferenceRun& run, int64_t step) {
  data::Batch batch;
  batch.size = run.batch;
  const auto stream = static_cast<uint64_t>(step);
  const auto n = static_cast<uint64_t>(run.batch * run.graph.input().elements());
  for (uint64_t i = 0; i < n; ++i) {
    batch.samples.push_back(static_cast<float>(2 * base::Uniform(1000 + stream, i) - 1));
  }
  for (uint64_t i = 0; i < static_cast<uint64_t>(run.batch); ++i) {
    batch.labels.push_back(static_cast<int32_t>(base::SplitMix(2000 + stream, i) %
                                                static_cast<uint64_t>(run.graph.classes())));
    batch.keys.push_back(i);
  }
  return batch;
}

void Note(double got, double want, double tolerance, const std::string& where, Deviation* worst) {
  const double deviation = std::abs(got - want) / std::max(std::abs(want), 1e-12);
  const double ratio = std::isfinite(deviation) ? deviation / tolerance : HUGE_VAL;
  if (ratio <= worst->ratio) return;
  worst->ratio = ratio;
  worst->where = fmt::format("{}: got {:.9g}, want {:.9g}, deviation {:.2e} of at most {:.2e}",
                             where, got, want, deviation, tolerance);
}

// Norm of each parameter in a flat vector against what the run recorded.
void NoteNorms(const model::Graph& graph, const std::vector<float>& flat,
               const std::map<std::string, double>& wanted, double tolerance,
               const std::string& what, Deviation* worst) {
  for (const model::Parameter& parameter : graph.parameters()) {
    const auto found = wanted.find(parameter.name);
    if (found == wanted.end()) continue;
    const double norm = kernel::Norm(
        {flat.data() + parameter.offset, static_cast<size_t>(parameter.shape.elements())});
    Note(norm, found->second, tolerance, what + " of " + parameter.name, worst);
  }
}

}  // namespace

Result<ReferenceRun> LoadReferenceRun(const std::string& path) {
  ASSIGN_OR_RETURN(const Doc doc, base::LoadDoc(path));
  Doc model;
  model.kind = Doc::Kind::kTable;
  for (const char* key : {"name", "input", "classes", "layers"}) {
    if (const Doc* value = doc.Find(key); value != nullptr) model.table.emplace_back(key, *value);
  }
  ASSIGN_OR_RETURN(model::Graph graph, model::GraphFromDoc(model, path, {}));
  ReferenceRun run{.graph = std::move(graph)};
  const auto number = [](const Doc* table, const char* key, double fallback) {
    const Doc* value = table == nullptr ? nullptr : table->Find(key);
    return value == nullptr ? fallback : value->number;
  };
  run.batch = static_cast<int64_t>(number(&doc, "batch", 0));
  run.steps = static_cast<int64_t>(number(&doc, "steps", 0));
  const Doc* optimizer = doc.Find("optimizer");
  const Doc* losses = doc.Find("losses");
  if (optimizer == nullptr || losses == nullptr || run.batch < 1 || run.steps < 1 ||
      static_cast<int64_t>(losses->array.size()) < run.steps) {
    return InvalidArgument(path + ": want batch, steps, optimizer and a loss for each step");
  }
  const Doc* name = optimizer->Find("name");
  ASSIGN_OR_RETURN(run.optimizer.kind,
                   engine::OptimizerFromName(name == nullptr ? "sgd" : name->text));
  run.lr = number(optimizer, "lr", 0);
  run.optimizer.momentum = number(optimizer, "momentum", 0);
  run.optimizer.weight_decay = number(optimizer, "weight_decay", 0);
  run.optimizer.beta1 = number(optimizer, "beta1", 0.9);
  run.optimizer.beta2 = number(optimizer, "beta2", 0.999);
  run.optimizer.eps = number(optimizer, "eps", 1e-8);
  const Doc* nesterov = optimizer->Find("nesterov");
  run.optimizer.nesterov = nesterov != nullptr && nesterov->boolean;
  for (const Doc& loss : losses->array) run.losses.push_back(loss.number);
  RETURN_IF_ERROR(ReadNumbers(doc, "gradient_norms_step0", &run.gradient_norms).Annotate(path));
  RETURN_IF_ERROR(ReadNumbers(doc, "weight_norms_end", &run.weight_norms).Annotate(path));
  // A good float32 engine stays within ten times the deviation, and within 1e-4 on losses.
  // rounding of the sum.
  run.loss_tolerance = std::min(1e-4, Tolerance(doc, "losses"));
  run.gradient_tolerance = Tolerance(doc, "gradient_norms_step0");
  run.weight_tolerance = Tolerance(doc, "weight_norms_end");
  return run;
}

Result<Deviation> ReplayReferenceRun(const ReferenceRun& run, const std::string& kernels) {
  const auto graph = std::make_shared<const model::Graph>(run.graph);
  engine::EngineOptions options;
  options.kernels = kernels;
  ASSIGN_OR_RETURN(const auto engine, engine::Engine::Create(graph, options));
  RETURN_IF_ERROR(engine->Prepare(plan::Mode::kTrain, run.batch));
  std::vector<float> flat = StartingParameters(run.graph);
  engine->SetParameters(flat);
  Deviation worst;
  for (int64_t step = 0; step < run.steps; ++step) {
    ASSIGN_OR_RETURN(const engine::StepResult result, engine->Train(BatchOfStep(run, step)));
    Note(result.loss(), run.losses[static_cast<size_t>(step)], run.loss_tolerance,
         fmt::format("loss of step {}", step), &worst);
    if (step == 0) {
      engine->GetGradient(flat);
      NoteNorms(run.graph, flat, run.gradient_norms, run.gradient_tolerance, "gradient norm",
                &worst);
    }
    engine->Apply(run.optimizer, run.lr);
  }
  engine->GetParameters(flat);
  NoteNorms(run.graph, flat, run.weight_norms, run.weight_tolerance, "weight norm", &worst);
  return worst;
}

}  // namespace weft::tests
