#include "plan/fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "plan/compiler.h"
#include "plan/recompute.h"
#include "plan/shares.h"

namespace weft::plan {
namespace {

// A device of some years ago; only ratios count: FLOP against bytes against the start of a step.
constexpr double kSecondsPerFlop = 1 / 60e9;
constexpr double kSecondsPerByte = 1 / 8e9;
constexpr double kSecondsPerStep = 5e-6;
// A network with batchnorm computes something else in micro-batches, as each is normalised by its
// own statistics; recomputation changes nothing, so it may cost this much before.
constexpr double kWorthForEqualBits = 1.3;

bool Training(Mode mode) { return mode == Mode::kTrain || mode == Mode::kTrainStreaming; }

double Seconds(const Program& program, const Step& step) {
  double bytes = 0;
  for (const int arg : step.args) {
    bytes += static_cast<double>(program.values[static_cast<size_t>(arg)].bytes);
  }
  return step.flops * kSecondsPerFlop + bytes * kSecondsPerByte + kSecondsPerStep;
}

double Seconds(const Program& program) {
  double seconds = 0;
  for (const Step& step : program.steps) seconds += Seconds(program, step);
  return seconds;
}

// The best set of layers to drop found for one draft and one limit of the arena.
struct Choice {
  std::vector<int> layers;
  size_t arena_bytes = 0;
  double seconds = 0;
};

// Looks for sets of layers to drop.
class Drops {
 public:
  Drops(const Draft& draft, size_t layers) : draft_(draft) {
    const std::vector<KeptLayer> kept = KeptLayers(draft, layers);
    std::vector<double> seconds(layers, 0);
    for (const Step& step : draft.program.steps) {
      const int owner = draft.owner[static_cast<size_t>(step.args.back())];
      if (owner >= 0) seconds[static_cast<size_t>(owner)] += Seconds(draft.program, step);
    }
    for (size_t layer = 0; layer < layers; ++layer) {
      if (kept[layer].bytes == 0) continue;
      candidates_.push_back(static_cast<int>(layer));
      if (kept[layer].readers > 1) forks_.push_back(static_cast<int>(layer));
    }
    by_price_ = candidates_;
    const auto price = [&](int layer) {
      const auto i = static_cast<size_t>(layer);
      // To make a fork again takes the fork before it, and so on to the first: these come last.
      return std::make_pair(kept[i].readers > 1, seconds[i] / static_cast<double>(kept[i].bytes));
    };
    std::stable_sort(by_price_.begin(), by_price_.end(),
                     [&](int a, int b) { return price(a) < price(b); });
  }

  size_t candidates() const { return candidates_.size(); }
  const Choice& whole() { return Whole(); }

  Choice Try(const std::vector<int>& layers) const {
    const Program program = PlanDraft(Recompute(draft_, layers));
    return {layers, program.arena_bytes, Seconds(program)};
  }

  // The cheapest set found whose arena holds in `limit`.
  std::optional<Choice> Within(size_t limit) {
    if (Whole().arena_bytes <= limit) return Whole();
    std::optional<Choice> best;
    for (const Choice& start : Starts(limit)) {
      if (start.arena_bytes > limit) continue;
      Choice choice = Prune(start, limit);
      if (!best || choice.seconds < best->seconds) best = std::move(choice);
    }
    return best;
  }

  size_t LeastArena() {
    size_t least = Whole().arena_bytes;
    for (const Choice& start : Starts(0)) least = std::min(least, start.arena_bytes);
    return least;
  }

 private:
  const Choice& Whole() {
    if (!whole_) whole_ = Try({});
    return *whole_;
  }

  // Sets to begin with: the layers of best price, as few as will do; and all but every n-th layer,
  // or every n-th fork, so that what is made again at a time stays short (Chen et al. 2016, section
  // 3).
  std::vector<Choice> Starts(size_t limit) const {
    std::vector<Choice> starts;
    size_t enough = by_price_.size();
    for (size_t low = 0; low < enough;) {
      const size_t middle = (low + enough) / 2;
      if (Try(Prefix(middle)).arena_bytes <= limit) {
        enough = middle;
      } else {
        low = middle + 1;
      }
    }
    starts.push_back(Try(Prefix(enough)));
    for (const std::vector<int>* keep : {&candidates_, &forks_}) {
      for (size_t every = 1; every <= keep->size(); every += 1 + every / 4) {
        std::vector<int> layers = candidates_;
        for (size_t i = every - 1; i < keep->size(); i += every) std::erase(layers, (*keep)[i]);
        starts.push_back(Try(layers));
      }
    }
    return starts;
  }

  std::vector<int> Prefix(size_t count) const {
    return {by_price_.begin(), by_price_.begin() + static_cast<std::ptrdiff_t>(count)};
  }

  // Keeps again what turns out to have room, dearest first.
  Choice Prune(Choice choice, size_t limit) const {
    for (auto layer = by_price_.rbegin(); layer != by_price_.rend(); ++layer) {
      std::vector<int> fewer = choice.layers;
      if (std::erase(fewer, *layer) == 0) continue;
      Choice next = Try(fewer);
      if (next.arena_bytes <= limit && next.seconds <= choice.seconds) choice = std::move(next);
    }
    std::sort(choice.layers.begin(), choice.layers.end());
    return choice;
  }

  const Draft& draft_;
  std::vector<int> candidates_;  // in layer order
  std::vector<int> forks_;       // those that several steps of the forward pass read
  std::vector<int> by_price_;    // seconds for a byte, cheapest first
  std::optional<Choice> whole_;
};

class Fitter {
 public:
  Fitter(const model::Graph& graph, kernel::Backend* backend, const FitOptions& options)
      : graph_(graph), backend_(backend), options_(options) {
    for (const model::Layer& layer : graph.layers()) {
      batchnorm_ = batchnorm_ || layer.type == model::LayerType::kBatchnorm;
    }
  }

  Result<BatchPlan> Fit() {
    std::optional<BatchPlan> best;
    double best_seconds = 0;
    for (int64_t parts = 1; parts <= options_.compile.batch; parts = Next(parts)) {
      ASSIGN_OR_RETURN(const Draft draft, DraftOf(parts));
      Drops drops(draft, graph_.layers().size());
      const double least = static_cast<double>(parts) * drops.whole().seconds;
      if (parts == 1) {
        whole_ = {drops.whole().arena_bytes + Fixed(PlanDraft(draft), 1), least};
        candidates_ = drops.candidates();
      }
      if (best && best_seconds <= least) break;
      const size_t fixed = Fixed(PlanDraft(draft), parts);
      if (fixed >= options_.budget_bytes) continue;
      const std::optional<Choice> choice = drops.Within(options_.budget_bytes - fixed);
      if (!choice) continue;
      const double seconds = static_cast<double>(parts) * choice->seconds;
      if (best && seconds >= best_seconds) continue;
      ASSIGN_OR_RETURN(BatchPlan plan, Make(parts, choice->layers, seconds));
      if (plan.bytes > options_.budget_bytes) continue;  // by the smaller parts' own kernels
      best = std::move(plan);
      best_seconds = seconds;
      if (batchnorm_ && seconds < kWorthForEqualBits * whole_.seconds) break;
    }
    if (!best) return Refuse();
    return std::move(*best);
  }

  // Without a limit.
  Result<BatchPlan> Whole() { return Make(1, {}, 0); }

 private:
  struct WholeBatch {
    size_t bytes = 0;
    double seconds = 0;
  };

  int64_t Next(int64_t parts) const {
    const int64_t batch = options_.compile.batch;
    const int64_t next = parts < 4 ? parts + 1 : parts + parts / 2;
    return parts < batch ? std::min(next, batch) : batch + 1;
  }

  CompileOptions PartOptions(int64_t parts) const {
    CompileOptions options = options_.compile;
    options.batch = (options.batch + parts - 1) / parts;
    if (parts > 1) options.mode = Mode::kTrainStreaming;
    return options;
  }

  Result<Draft> DraftOf(int64_t parts) const {
    return MakeDraft(graph_, backend_, PartOptions(parts));
  }

  // Bytes beside the arena.
  size_t Fixed(const Program& program, int64_t parts) const {
    const size_t vectors = 1 + options_.state_vectors + (parts > 1 ? 1 : 0);
    return vectors * program.parameter_bytes + StagingBytes(program);
  }

  Result<BatchPlan> Make(int64_t parts, const std::vector<int>& recompute, double seconds) const {
    BatchPlan plan;
    plan.parts = EqualShares(options_.compile.batch, parts);
    CompileOptions options = PartOptions(parts);
    options.recompute = recompute;
    size_t arena = 0;
    for (const int64_t size : {plan.parts.front(), plan.parts.back()}) {
      if (!plan.programs.empty() && plan.programs[0].batch == size) continue;
      options.batch = size;
      ASSIGN_OR_RETURN(Program program, Compile(graph_, backend_, options));
      if (options.parameter_layouts.empty()) {
        for (const ParameterValues& values : program.parameters) {
          options.parameter_layouts.push_back(
              program.values[static_cast<size_t>(values.weights)].layout);
        }
      }
      arena = std::max(arena, program.arena_bytes);
      plan.programs.push_back(std::move(program));
    }
    plan.bytes = arena + Fixed(plan.programs[0], parts);
    if (parts > 1 || !recompute.empty()) plan.given_up = Describe(plan, recompute, seconds);
    return plan;
  }

  std::string Describe(const BatchPlan& plan, const std::vector<int>& recompute,
                       double seconds) const {
    std::string text = fmt::format("memory budget {}: ", Human(options_.budget_bytes));
    if (!recompute.empty()) {
      double again = 0;
      for (size_t i = 0; i < plan.parts.size(); ++i) {
        again += plan.programs[plan.program_of(i)].RecomputedFlops();
      }
      text += fmt::format("recomputes {} of {} layers in the backward pass (+{:.0f} % FLOP)",
                          recompute.size(), candidates_, 100 * again / plan.Flops());
    }
    if (plan.divided()) {
      text += fmt::format("{}computes the batch in {} parts of {}", recompute.empty() ? "" : ", ",
                          plan.parts.size(), plan.parts.front());
      if (batchnorm_) text += ", each normalised by its own statistics (batchnorm)";
    }
    return text + fmt::format("; {} instead of {}, about {:.0f} % more time", Human(plan.bytes),
                              Human(whole_.bytes), 100 * (seconds / whole_.seconds - 1));
  }

  Status Refuse() const {
    size_t least = whole_.bytes;
    for (int64_t parts = 1; parts <= options_.compile.batch; parts = Next(parts)) {
      ASSIGN_OR_RETURN(const Draft draft, DraftOf(parts));
      least = std::min(least, Drops(draft, graph_.layers().size()).LeastArena() +
                                  Fixed(PlanDraft(draft), parts));
    }
    return base::InvalidArgument(fmt::format(
        "memory budget: got {} ({} bytes), want at least {} ({} bytes) for {}, one sample at a "
        "time "
        "and recomputed where that helps",
        Human(options_.budget_bytes), options_.budget_bytes, Human(least), least, graph_.name()));
  }

  static std::string Human(size_t bytes) { return base::HumanBytes(static_cast<double>(bytes)); }

  const model::Graph& graph_;
  kernel::Backend* backend_;
  const FitOptions& options_;
  bool batchnorm_ = false;
  WholeBatch whole_;
  size_t candidates_ = 0;  // layers that could be recomputed
};

}  // namespace

double BatchPlan::Flops() const {
  double flops = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Program& program = programs[program_of(i)];
    flops += program.Flops() - program.RecomputedFlops();
  }
  return flops;
}

Result<BatchPlan> FitMemory(const model::Graph& graph, kernel::Backend* backend,
                            const FitOptions& options) {
  Fitter fitter(graph, backend, options);
  const bool limited = options.budget_bytes > 0 && Training(options.compile.mode);
  return limited ? fitter.Fit() : fitter.Whole();
}

}  // namespace weft::plan
