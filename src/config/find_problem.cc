#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <numeric>

#include "config/options.h"
#include "data/partition.h"

// Each function returns the first contradiction of its section. A key that the chosen name or
// schedule does not read is one too: it would be ignored in silence.
namespace weft::config {
namespace {

bool GoodName(const std::string& name) {
  const auto good = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= 64 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), good);
}

std::optional<Problem> InJob(const RunConfig& config) {
  if (!GoodName(config.job.name)) {
    return Problem{"job", "name",
                   fmt::format("got \"{}\", want 1 to 64 letters, digits, '-', '_' or '.', not "
                               "starting with '.'",
                               config.job.name)};
  }
  if (config.job.target_accuracy > 0 && config.data.test.empty()) {
    return Problem{"job", "target_accuracy",
                   fmt::format("got {} without test data, want data.test to be set",
                               config.job.target_accuracy)};
  }
  return std::nullopt;
}

std::optional<Problem> InModel(const ModelOptions& model) {
  if (model.preset.empty() && model.file.empty()) {
    return Problem{"model", "preset", "is missing, want preset = \"...\" or file = \"...\""};
  }
  if (!model.preset.empty() && !model.file.empty()) {
    return Problem{"model", "file", "got a file and a preset, want one of them"};
  }
  return std::nullopt;
}

std::optional<Problem> InPlacement(const RunConfig& config) {
  const DataOptions& data = config.data;
  const bool local = data.placement == "local";
  if (const auto partition = data::ParsePartition(data.partition); !partition.ok()) {
    // It begins with the key's name.
    std::string text = partition.status().message();
    return Problem{"data", "partition", text.substr(text.find("got "))};
  }
  if (!local && data.partition != DataOptions().partition) {
    return Problem{
        "data", "partition",
        fmt::format("is read by placement = \"local\" only, got \"{}\"", data.placement)};
  }
  if (local && config.job.deterministic) {
    return Problem{"data", "placement",
                   "got \"local\", want another one with job.deterministic: what is computed "
                   "would depend on which devices are there"};
  }
  return std::nullopt;
}

std::optional<Problem> InData(const DataOptions& data) {
  if (data.test_limit > 0 && data.test.empty()) {
    return Problem{"data", "test_limit", "got a limit without test data, want data.test to be set"};
  }
  return std::nullopt;
}

std::optional<Problem> InUpdateRule(const OptimizerOptions& optimizer) {
  const OptimizerOptions defaults;
  const auto ignored = [&](std::string_view key, std::string_view owner) {
    return Problem{"optimizer", key,
                   fmt::format("is read by {} only, got name = \"{}\"", owner, optimizer.name)};
  };
  const auto below_one = [](std::string_view key, double value) {
    return Problem{"optimizer", key, fmt::format("got {}, want a number below 1", value)};
  };
  if (optimizer.name == "sgd") {
    if (optimizer.beta1 != defaults.beta1) return ignored("beta1", "adamw");
    if (optimizer.beta2 != defaults.beta2) return ignored("beta2", "adamw");
    if (optimizer.eps != defaults.eps) return ignored("eps", "adamw");
    if (optimizer.nesterov && optimizer.momentum == 0) {
      return Problem{"optimizer", "nesterov", "got true without momentum, want momentum above 0"};
    }
  } else {
    if (optimizer.momentum != 0) return ignored("momentum", "sgd");
    if (optimizer.nesterov) return ignored("nesterov", "sgd");
  }
  if (optimizer.lr == 0) {
    return Problem{"optimizer", "lr", "got 0, want a number above 0"};
  }
  if (optimizer.momentum >= 1) return below_one("momentum", optimizer.momentum);
  if (optimizer.beta1 >= 1) return below_one("beta1", optimizer.beta1);
  if (optimizer.beta2 >= 1) return below_one("beta2", optimizer.beta2);
  if (optimizer.eps == 0) return Problem{"optimizer", "eps", "got 0, want a number above 0"};
  return std::nullopt;
}

std::optional<Problem> InSchedule(const OptimizerOptions& optimizer) {
  const auto ignored = [&](std::string_view key, std::string_view owner) {
    return Problem{
        "optimizer", key,
        fmt::format("is read by schedule = \"{}\" only, got \"{}\"", owner, optimizer.schedule)};
  };
  const bool step = optimizer.schedule == "step";
  if (step && optimizer.step_epochs.empty()) {
    return Problem{"optimizer", "step_epochs",
                   "is missing, want the epochs at which the rate drops, such as [30, 60]"};
  }
  if (!step && !optimizer.step_epochs.empty()) return ignored("step_epochs", "step");
  if (!step && optimizer.step_factor != OptimizerOptions().step_factor) {
    return ignored("step_factor", "step");
  }
  const auto& epochs = optimizer.step_epochs;
  const auto fall = std::adjacent_find(epochs.begin(), epochs.end(), std::greater_equal<>());
  if (fall != epochs.end()) {
    return Problem{"optimizer", "step_epochs",
                   fmt::format("got {} after {}, want rising epochs", *(fall + 1), *fall)};
  }
  if (optimizer.schedule != "cosine" && optimizer.min_lr != 0) return ignored("min_lr", "cosine");
  if (optimizer.min_lr > optimizer.lr) {
    return Problem{"optimizer", "min_lr",
                   fmt::format("got {}, want at most lr = {}", optimizer.min_lr, optimizer.lr)};
  }
  return std::nullopt;
}

// A key of [cluster] that something else in it does not read.
Problem Ignored(std::string_view key, std::string_view readers, std::string_view got) {
  return {"cluster", key, fmt::format("is read by {} only, got {}", readers, got)};
}

std::string Aggregation(const ClusterOptions& cluster) {
  return fmt::format("aggregation = \"{}\"", cluster.aggregation);
}

// Steps that wait for all, or for enough.
std::optional<Problem> InSync(const ClusterOptions& cluster) {
  if (cluster.quorum == 0) return Problem{"cluster", "quorum", "got 0, want it above 0"};
  if (cluster.aggregation == "sync") return std::nullopt;
  constexpr std::string_view kSync = "aggregation = \"sync\"";
  if (cluster.quorum < 1) return Ignored("quorum", kSync, Aggregation(cluster));
  if (cluster.over_selection > 0) return Ignored("over_selection", kSync, Aggregation(cluster));
  if (!cluster.shares.empty()) return Ignored("shares", kSync, Aggregation(cluster));
  return std::nullopt;
}

// Updates that were computed with earlier parameters.
std::optional<Problem> InStaleness(const ClusterOptions& cluster) {
  const bool sync = cluster.aggregation == "sync";
  constexpr std::string_view kStreams = "aggregation = \"ssp\", \"async\" or \"buffered\"";
  if (sync && cluster.max_staleness != 0) {
    return Ignored("max_staleness", kStreams, Aggregation(cluster));
  }
  if (cluster.aggregation == "ssp" && cluster.max_staleness == 0) {
    return Problem{
        "cluster", "max_staleness",
        "got 0 with aggregation = \"ssp\", want how many rounds a device may be ahead of "
        "the slowest, 1 or more"};
  }
  if (sync && cluster.quorum == 1 &&
      cluster.staleness_exponent != ClusterOptions().staleness_exponent) {
    return Ignored("staleness_exponent",
                   "quorum below 1 and aggregation = \"ssp\", \"async\" or \"buffered\"",
                   Aggregation(cluster));
  }
  if (sync && cluster.delay_compensation != 0) {
    return Ignored("delay_compensation", kStreams, Aggregation(cluster));
  }
  if (cluster.local_steps > 1 && cluster.delay_compensation != 0) {
    return Ignored("delay_compensation", "local_steps = 1",
                   fmt::format("local_steps = {}", cluster.local_steps));
  }
  if (cluster.aggregation != "buffered" && cluster.buffer != 0) {
    return Ignored("buffer", "aggregation = \"buffered\"", Aggregation(cluster));
  }
  return std::nullopt;
}

std::optional<Problem> InCombine(const ClusterOptions& cluster) {
  const bool together = cluster.aggregation == "sync" || cluster.aggregation == "buffered";
  if (cluster.combine != "mean" && !together) {
    return Problem{"cluster", "combine",
                   fmt::format("got \"{}\" with {}, by which each update is applied alone; want "
                               "mean, or aggregation = \"sync\" or \"buffered\"",
                               cluster.combine, Aggregation(cluster))};
  }
  if (cluster.combine != "trimmed-mean" && cluster.trim != ClusterOptions().trim) {
    return Ignored("trim", "combine = \"trimmed-mean\"",
                   fmt::format("combine = \"{}\"", cluster.combine));
  }
  if (cluster.trim >= 0.5) {
    return Problem{"cluster", "trim", fmt::format("got {}, want it below 0.5", cluster.trim)};
  }
  return std::nullopt;
}

std::optional<Problem> InLocalSteps(const ClusterOptions& cluster) {
  const ClusterOptions defaults;
  if (cluster.local_steps == 1) {
    constexpr std::string_view kReader = "local_steps above 1";
    if (cluster.outer_lr != defaults.outer_lr) {
      return Ignored("outer_lr", kReader, "local_steps = 1");
    }
    if (cluster.outer_momentum != defaults.outer_momentum) {
      return Ignored("outer_momentum", kReader, "local_steps = 1");
    }
  }
  if (cluster.outer_lr == 0) {
    return Problem{"cluster", "outer_lr", "got 0, want a number above 0"};
  }
  if (cluster.outer_momentum >= 1) {
    return Problem{"cluster", "outer_momentum",
                   fmt::format("got {}, want a number below 1", cluster.outer_momentum)};
  }
  return std::nullopt;
}

// What makes the result depend on which devices are there, and how fast they are.
std::optional<Problem> InDeterminism(const RunConfig& config) {
  const ClusterOptions& cluster = config.cluster;
  if (!config.job.deterministic) return std::nullopt;
  const auto wants = [](std::string_view key, std::string got, std::string_view want) {
    return Problem{"cluster", key,
                   fmt::format("got {}, want {} with job.deterministic", got, want)};
  };
  if (cluster.aggregation != "sync") {
    return wants("aggregation", fmt::format("\"{}\"", cluster.aggregation), "sync");
  }
  if (cluster.quorum < 1) return wants("quorum", fmt::format("{}", cluster.quorum), "1");
  if (cluster.over_selection > 0) {
    return wants("over_selection", fmt::format("{}", cluster.over_selection), "0");
  }
  return std::nullopt;
}

// Samples that only one device can compute.
std::optional<Problem> InLocalData(const RunConfig& config) {
  const ClusterOptions& cluster = config.cluster;
  if (config.data.placement != "local") return std::nullopt;
  constexpr std::string_view kElsewhere =
      "data.placement = \"shared\" or \"distributed\", where any device can compute any sample,";
  if (!cluster.shares.empty()) return Ignored("shares", kElsewhere, "\"local\"");
  if (cluster.over_selection > 0) return Ignored("over_selection", kElsewhere, "\"local\"");
  return std::nullopt;
}

std::optional<Problem> InCluster(const RunConfig& config) {
  const ClusterOptions& cluster = config.cluster;
  const int64_t batch = config.job.batch;
  if (cluster.shares.empty() && batch < cluster.workers) {
    return Problem{"job", "batch",
                   fmt::format("got {}, want at least one sample for each of the {} workers", batch,
                               cluster.workers)};
  }
  if (!cluster.shares.empty()) {
    if (static_cast<int64_t>(cluster.shares.size()) != cluster.workers) {
      return Problem{"cluster", "shares",
                     fmt::format("got {} shares, want one for each of the {} workers",
                                 cluster.shares.size(), cluster.workers)};
    }
    const int64_t sum = std::accumulate(cluster.shares.begin(), cluster.shares.end(), int64_t{0});
    if (sum != batch) {
      return Problem{"cluster", "shares",
                     fmt::format("got a sum of {}, want job.batch = {}", sum, batch)};
    }
  }
  if (cluster.device_timeout_ms < 2 * cluster.heartbeat_ms) {
    return Problem{"cluster", "device_timeout_ms",
                   fmt::format("got {}, want at least two heartbeats ({} ms)",
                               cluster.device_timeout_ms, 2 * cluster.heartbeat_ms)};
  }
  return std::nullopt;
}

// ---- link

// One of the two ways of a link, and its keys.
struct Way {
  std::string_view codec_key;
  const std::string& codec;
  std::string_view density_key;
  double density;
  std::string_view values_key;
  const std::string& values;
};

bool IsOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

std::optional<Problem> InWay(const Way& way) {
  const auto ignored = [&](std::string_view key, std::string_view readers) {
    return Problem{"link", key,
                   fmt::format("is read by {} = {} only, got {} = \"{}\"", way.codec_key, readers,
                               way.codec_key, way.codec)};
  };
  if (way.density != 0 && !IsOneOf(way.codec, {"chunk-topk", "dgc", "auto"})) {
    return ignored(way.density_key, "\"chunk-topk\", \"dgc\" and \"auto\"");
  }
  if (!way.values.empty() && !IsOneOf(way.codec, {"chunk-topk", "dgc", "powersgd"})) {
    return ignored(way.values_key, "\"chunk-topk\", \"dgc\" and \"powersgd\"");
  }
  return std::nullopt;
}

std::optional<Problem> InLink(const RunConfig& config) {
  const LinkOptions& link = config.link;
  const LinkOptions defaults;
  const auto ignored = [&](std::string_view key, std::string_view readers) {
    return Problem{"link", key,
                   fmt::format("is read by codec = {} only, got \"{}\"", readers, link.codec)};
  };
  if (auto problem = InWay({"codec", link.codec, "density", link.density, "values", link.values})) {
    return problem;
  }
  if (auto problem = InWay({"down_codec", link.down_codec, "down_density", link.down_density,
                            "down_values", link.down_values})) {
    return problem;
  }
  if (link.rank != 0 && link.codec != "powersgd" && link.down_codec != "powersgd") {
    return ignored("rank", "\"powersgd\"");
  }
  if (link.warmup_steps != 0 && !IsOneOf(link.codec, {"chunk-topk", "dgc"})) {
    return ignored("warmup_steps", "\"chunk-topk\" and \"dgc\"");
  }
  if (link.flush_updates != 0 && !IsOneOf(link.codec, {"chunk-topk", "dgc", "auto"})) {
    return ignored("flush_updates", "\"chunk-topk\", \"dgc\" and \"auto\"");
  }
  const bool adapts = link.codec == "auto" || link.down_codec == "auto";
  if (link.budget != defaults.budget && !adapts) return ignored("budget", "\"auto\"");
  if (link.most_local_steps != defaults.most_local_steps && link.codec != "auto") {
    return ignored("most_local_steps", "\"auto\"");
  }
  if (link.clip != 0 && config.cluster.local_steps > 1) {
    return Problem{"link", "clip",
                   fmt::format("got {} with cluster.local_steps = {}, whose updates are no "
                               "gradients; want it left out",
                               link.clip, config.cluster.local_steps)};
  }
  const bool exact_down = link.down_density == 1 && link.down_values == "fp32";
  if (config.job.deterministic && !IsOneOf(link.down_codec, {"dense", "fp16"}) && !exact_down) {
    return Problem{"link", "down_codec",
                   fmt::format("got \"{}\" with job.deterministic, want dense or fp16: what is "
                               "sent later depends on who led",
                               link.down_codec)};
  }
  const bool exact = link.density == 1 && link.values == "fp32";
  if (config.job.deterministic && !IsOneOf(link.codec, {"dense", "fp16"}) && !exact) {
    return Problem{"link", "codec",
                   fmt::format("got \"{}\" with job.deterministic, want dense or fp16: what a "
                               "device leaves out depends on the device",
                               link.codec)};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Problem> FindProblem(const RunConfig& config) {
  if (auto problem = InJob(config)) return problem;
  if (auto problem = InModel(config.model)) return problem;
  if (auto problem = InData(config.data)) return problem;
  if (auto problem = InPlacement(config)) return problem;
  if (auto problem = InUpdateRule(config.optimizer)) return problem;
  if (auto problem = InSchedule(config.optimizer)) return problem;
  if (auto problem = InDeterminism(config)) return problem;
  if (auto problem = InSync(config.cluster)) return problem;
  if (auto problem = InStaleness(config.cluster)) return problem;
  if (auto problem = InCombine(config.cluster)) return problem;
  if (auto problem = InLocalSteps(config.cluster)) return problem;
  if (auto problem = InLocalData(config)) return problem;
  if (auto problem = InLink(config)) return problem;
  return InCluster(config);
}

}  // namespace weft::config
