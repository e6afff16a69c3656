#include "sim/swarm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "cluster/step_plan.h"
#include "sim/checker.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Beyond the last fault of a scenario; its steps take far less.
constexpr Duration kMostBetweenSteps = seconds(60);
constexpr Duration kLimit = seconds(600);

// Draws a scenario, part by part; each part is left out of some of them.
class Draw {
 public:
  explicit Draw(uint64_t seed) : rng_(base::DeriveSeed(seed, 1)) { options_.seed = seed; }

  ClusterOptions All(Scope scope) {
    Job();
    Segments();
    Devices();
    Hub();
    Deaths();
    Links();
    DiskFaults();
    Schedule();
    options_.job.share_by_speed = false;
    if (scope == Scope::kElastic) {
      Aggregation();
      Leading();
      Placement();
      Sites();
    }
    Compression(scope);
    return std::move(options_);
  }

 private:
  bool OneIn(uint64_t n) { return rng_.NextBelow(n) == 0; }
  int64_t Whole(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(rng_.NextBelow(static_cast<uint64_t>(most - least + 1)));
  }
  // Small values as often as large ones.
  double Scaled(double least, double most) {
    return least * std::pow(most / least, rng_.NextUniform());
  }
  Duration Wait(double least_s, double most_s) {
    return Duration(static_cast<int64_t>(1e9 * Scaled(least_s, most_s)));
  }
  std::optional<Duration> Sometimes(uint64_t one_in, double least_s, double most_s) {
    return OneIn(one_in) ? std::optional(Wait(least_s, most_s)) : std::nullopt;
  }
  double Chance(uint64_t one_in, double least, double most) {
    return OneIn(one_in) ? Scaled(least, most) : 0;
  }

  void Job() {
    const int64_t batch = Whole(1, 40);
    cluster::JobSpec& job = options_.job;
    // Not so many steps that an honest run would seem to stand still.
    const auto samples = std::min(static_cast<int64_t>(Scaled(1, 3000)), 250 * batch);
    job = ToyJob(samples, Whole(1, 4), batch);
    job.deterministic = OneIn(2);
    job.slots = Whole(1, 9);
    job.checkpoint_every = Whole(0, 7);
    if (OneIn(3)) job.codec_up.name = "fp16";
    if (OneIn(4)) job.codec_down.name = "fp16";
    if (OneIn(8)) job.shares = {batch / 2, 0, batch - batch / 2};
    if (OneIn(5)) job.optimizer.nesterov = true;
    if (OneIn(5)) {
      job.optimizer = {.kind = engine::OptimizerOptions::Kind::kAdamw, .weight_decay = 0.01};
      job.schedule.lr = 0.02;
    }
    job.heartbeat_ms = Whole(100, 500);
    job.device_timeout_ms = job.heartbeat_ms * Whole(4, 10);
  }

  // `shared`: by many, whose heartbeats alone would fill a slow one.
  LinkOptions Link(bool shared) {
    LinkOptions link;
    constexpr double kRates[] = {0, 1e8, 1e7, 1e6};
    const uint64_t rates = shared ? 3 : 4;
    link.up_bps = kRates[rng_.NextBelow(rates)];
    link.half_duplex = link.up_bps > 0 && OneIn(3);
    link.down_bps = link.half_duplex ? 0 : kRates[rng_.NextBelow(rates)];
    link.latency = Wait(1e-5, 2e-2);
    if (OneIn(2)) link.jitter = Wait(1e-5, 1e-2);
    link.loss = Chance(3, 1e-4, 3e-2);
    link.duplication = Chance(4, 1e-4, 5e-2);
    link.reordering = Chance(4, 1e-4, 5e-2);
    return link;
  }

  void Segments() {
    for (int64_t i = OneIn(3) ? Whole(1, 2) : 0; i > 0; --i) {
      options_.segments.push_back({fmt::format("segment-{}", i), Link(true)});
    }
  }

  void Devices() {
    const int64_t count = OneIn(10) ? Whole(7, 20) : Whole(1, 6);
    options_.devices = EqualDevices(static_cast<int>(count), Scaled(1e-4, 5e-3));
    int64_t always_on = 0;
    for (DeviceOptions& device : options_.devices) {
      Describe(&device, always_on > 0);
      always_on += device.availability.kind == AvailabilityOptions::Kind::kAlways ? 1 : 0;
    }
    options_.job.start_workers = OneIn(3) ? Whole(1, always_on) : 1;
  }

  void Describe(DeviceOptions* device, bool may_be_off) {
    device->speed = Scaled(0.3, 3);
    if (OneIn(4)) device->load = rng_.NextUniform(0, 0.6);
    if (OneIn(2)) device->lease_seconds = Scaled(1e-5, 1e-2);
    if (OneIn(2)) device->spread = rng_.NextUniform(0, 0.5);
    if (OneIn(4)) device->slowdown = {Wait(0.1, 2), Wait(0.05, 1), rng_.NextUniform(0.1, 0.9)};
    device->link = Link(false);
    if (!options_.segments.empty() && OneIn(2)) {
      device->link.segment = options_.segments[rng_.NextBelow(options_.segments.size())].name;
    }
    if (!may_be_off || !OneIn(4)) return;
    device->availability.kind =
        OneIn(2) ? AvailabilityOptions::Kind::kExponential : AvailabilityOptions::Kind::kTrace;
    // Not so short that most leases are lost with their holder, for ever.
    device->availability.mean_up = Wait(3, 20);
    device->availability.mean_down = Wait(0.1, 3);
    const Duration on = Wait(0.1, 2), off = on + Wait(0.1, 2);
    device->availability.up = {{Duration(0), on}, {off, off + Wait(0.1, 5)}};
  }

  void Hub() {
    HubOptions& hub = options_.hub;
    if (OneIn(2)) hub.link = Link(true);
    if (OneIn(2)) hub.message_seconds = Scaled(1e-6, 2e-4);
    if (OneIn(3)) hub.push_seconds = Scaled(1e-6, 1e-3);
    if (OneIn(3)) hub.apply_seconds = Scaled(1e-6, 1e-2);
    if (OneIn(3)) hub.send_seconds = Scaled(1e-6, 1e-3);
    if (OneIn(2)) hub.local_delay = Wait(1e-5, 5e-3);
    hub.restart = Wait(1e-3, 1);
  }

  void Deaths() {
    FaultOptions& faults = options_.faults;
    faults.until = OneIn(8) ? Duration(0) : Wait(0.5, 20);
    faults.break_connection = Sometimes(2, 0.02, 2);
    faults.silent_break = rng_.NextUniform();
    faults.kill_device = Sometimes(2, 0.05, 2);
    faults.kill_hub = Sometimes(3, 0.3, 3);
    faults.join_device = Sometimes(4, 0.3, 3);
    faults.leave_device = Sometimes(4, 0.3, 3);
    faults.most_down = Wait(0.01, 1);
    faults.crash_device = Chance(3, 1e-4, 2e-2);
    faults.crash_hub = Chance(3, 1e-5, 3e-3);
    faults.unreadable_data = Chance(12, 0.05, 0.5);
  }

  void Links() {
    FaultOptions& faults = options_.faults;
    faults.partition = Sometimes(3, 0.1, 3);
    faults.one_way = rng_.NextUniform();
    faults.partition_length = Wait(0.05, 10);
    faults.clog = Sometimes(4, 0.1, 3);
    faults.clog_length = Wait(0.05, 3);
    faults.repeat_message = Chance(3, 1e-3, 0.3);
    faults.reorder_message = Chance(3, 1e-3, 0.3);
  }

  void DiskFaults() {
    FaultOptions& faults = options_.faults;
    faults.disk_full = Chance(4, 0.01, 0.5);
    faults.disk_error = Chance(4, 0.01, 0.5);
    faults.torn_write = Chance(3, 0.1, 1);
    faults.disk_write_time = Wait(1e-4, 1);
  }

  // What is broken is mended again, so that the run can end.
  void Schedule() {
    using Kind = ScheduledEvent::Kind;
    constexpr std::pair<Kind, Kind> kPairs[] = {
        {Kind::kKill, Kind::kStart}, {Kind::kLeave, Kind::kStart},  {Kind::kCut, Kind::kHeal},
        {Kind::kCutUp, Kind::kHeal}, {Kind::kCutDown, Kind::kHeal}, {Kind::kClog, Kind::kUnclog}};
    if (options_.faults.until == Duration(0)) return;
    for (int64_t i = OneIn(3) ? Whole(1, 3) : 0; i > 0; --i) {
      const bool of_hub = OneIn(3);
      const auto& [breaks, mends] = of_hub ? kPairs[0] : kPairs[rng_.NextBelow(6)];
      const std::string device =
          of_hub ? "" : options_.devices[rng_.NextBelow(options_.devices.size())].name;
      const Duration at = Wait(0.05, 5);
      options_.schedule.push_back({at, breaks, device});
      options_.schedule.push_back({at + Wait(0.01, 2), mends, device});
    }
  }

  // When updates are applied, and how they are joined. A deterministic job leaves no choice.
  void Aggregation() {
    cluster::JobSpec& job = options_.job;
    job.share_by_speed = OneIn(2);
    if (job.deterministic) return;
    aggregate::Options& how = job.aggregation;
    constexpr aggregate::Mode kStreams[] = {aggregate::Mode::kSsp, aggregate::Mode::kAsync,
                                            aggregate::Mode::kBuffered};
    // Of all jobs two in five, as half of them are deterministic.
    if (!OneIn(5)) how.mode = kStreams[rng_.NextBelow(3)];
    if (how.mode == aggregate::Mode::kSync && OneIn(2)) how.quorum = rng_.NextUniform(0.5, 0.9);
    if (how.mode == aggregate::Mode::kSync && OneIn(3)) how.over_selection = 0.3;
    if (how.mode != aggregate::Mode::kSync && OneIn(2)) how.max_staleness = Whole(1, 8);
    if (how.mode == aggregate::Mode::kBuffered && OneIn(2)) how.buffer = Whole(1, 6);
    // Drawn from what is drawn already, so that the other choices of a seed stay what they were.
    const bool changes = job.heartbeat_ms % 2 == 0;
    if (changes && (how.mode == aggregate::Mode::kAsync ||
                    (how.mode == aggregate::Mode::kSync && how.quorum == 1))) {
      how.automatic = true;
      // To and fro, whatever is predicted.
      job.policy = {.better = -100, .in_a_row = 1, .rounds_between = 2, .rounds_for_losses = 2};
    }
    Differences();
    if (OneIn(6)) how.combine = aggregate::Combine::kMedian;
    if (OneIn(6)) how.combine = aggregate::Combine::kTrimmedMean;
    if (!OneIn(4)) return;
    how.local_steps = 3;
    how.outer_lr = 0.3;
    how.outer_momentum = OneIn(2) ? 0.5 : 0;
  }

  // Parameters go down as such in two of seven. Drawn from what is drawn already, likewise; small
  // as the toy is, they are to pay.
  void Differences() {
    cluster::JobSpec& job = options_.job;
    constexpr const char* kCodecs[] = {"int8", "chunk-topk"};
    const auto drawn = static_cast<size_t>(job.heartbeat_ms % 7);
    if (drawn >= std::size(kCodecs)) return;
    job.codec_down.name = kCodecs[drawn];
    job.value_weight = 16;
  }

  void Leading() {
    constexpr int64_t kLeaders[] = {1, 1, 1, 2, 4, 0};
    options_.job.leaders = kLeaders[rng_.NextBelow(6)];
    if (options_.job.leaders == 1) return;
    options_.job.least_range = 1;
    for (DeviceOptions& device : options_.devices) {
      device.can_lead = !OneIn(6);
      if (OneIn(3)) device.leading.push_seconds = Scaled(1e-6, 1e-3);
      if (OneIn(3)) device.leading.apply_seconds = Scaled(1e-6, 1e-2);
    }
  }

  // Where the samples are: with each device, or fed by the store to devices with little room, or
  // each device has its own.
  void Placement() {
    cluster::JobSpec& job = options_.job;
    const bool free_cut = !job.deterministic && job.shares.empty();
    if (free_cut && OneIn(6)) return Shards();
    if (!OneIn(6)) return;
    job.fed_sample_bytes = Whole(1, 3000);
    const int64_t most = job.batch * job.aggregation.local_steps * job.fed_sample_bytes;
    for (DeviceOptions& device : options_.devices) {
      if (OneIn(2)) device.storage_bytes = most * Whole(1, 3);
    }
  }

  void Shards() {
    cluster::JobSpec& job = options_.job;
    std::vector<int64_t>& shards = job.shard_samples;
    const auto most = static_cast<int64_t>(options_.devices.size());
    for (int64_t left = job.samples; left > 0;) {
      const bool last = static_cast<int64_t>(shards.size()) + 1 == most;
      shards.push_back(last ? left : Whole(1, left));
      left -= shards.back();
    }
  }

  // Some devices at the hub's site, some at others, some do not say.
  void Sites() {
    if (!OneIn(3)) return;
    constexpr const char* kSites[] = {"", "home", "away", "away", "away", "far"};
    if (OneIn(2)) options_.job.site = "home";
    options_.job.site_sums = OneIn(3) ? cluster::SiteSums::kAuto : cluster::SiteSums::kAlways;
    for (DeviceOptions& device : options_.devices) device.site = kSites[rng_.NextBelow(6)];
  }

  // What updates become on their way, by a stream of its own: all other choices of a seed stay what
  // they were.
  void Compression(Scope scope) {
    rng_ = base::Rng(base::DeriveSeed(options_.seed, 2));
    codec::CodecOptions& up = options_.job.codec_up;
    if (!OneIn(2)) return;
    // Of one device's packets nothing may depend on those before.
    if (options_.job.deterministic) {
      up = {.name = OneIn(2) ? "chunk-topk" : "dgc", .density = 1, .values = "fp32"};
      up.tensors = Tensors();
      return;
    }
    constexpr const char* kCodecs[] = {"int8", "3lc",      "chunk-topk", "dgc",
                                       "dgc",  "powersgd", "auto",       "auto"};
    up = {.name = kCodecs[rng_.NextBelow(std::size(kCodecs))]};
    up.tensors = Tensors();
    if (up.name == "powersgd") {
      up.rank = Whole(0, 4);
    } else if (OneIn(3)) {
      up.flush = Whole(1, 12);
    }
    if (up.name == "chunk-topk" || up.name == "dgc") Selection(&up);
    if (up.name == "auto") Adapt(scope);
  }

  // The toy's weights are the end of a matrix that begins before them, or a tensor by themselves:
  // so few are sent almost whole.
  std::vector<codec::Tensor> Tensors() {
    constexpr int64_t kMatrix = 4096;
    codec::Tensor weights{.begin = 0, .count = kToyFeatures};
    if (!OneIn(4)) weights = {.begin = kToyFeatures - kMatrix, .count = kMatrix, .rows = 512};
    return {weights, {.begin = kToyFeatures, .count = kToyFeatures, .trained = false}};
  }

  void Selection(codec::CodecOptions* up) {
    constexpr double kDensities[] = {0, 0.004, 0.125, 0.25, 0.5, 1};
    up->density = kDensities[rng_.NextBelow(std::size(kDensities))];
    if (OneIn(3)) up->warmup = Whole(1, 40);
    if (!OneIn(2)) return;
    const uint64_t kind = rng_.NextBelow(codec::kValueKinds);
    up->values = codec::ValueKindName(static_cast<codec::ValueKind>(kind));
  }

  // As links ask for. The toy stands for a model of any size, and travels as one whose links can be
  // measured; then fewer steps take as long.
  void Adapt(Scope scope) {
    cluster::JobSpec& job = options_.job;
    job.value_weight = Scaled(1, 1e5);
    job.link_budget = Scaled(0.01, 1);
    if (job.shard_samples.empty() && OneIn(2)) {
      options_.wire.push_bytes = options_.wire.parameters_bytes = 40'000;
      job.samples = std::min(job.samples, 30 * job.batch);
    }
    if (OneIn(2)) job.codec_up.density = Scaled(0.05, 0.5);
    if (OneIn(2)) job.codec_down = job.codec_up;
    const bool sgd = job.optimizer.kind == engine::OptimizerOptions::Kind::kSgd;
    if (scope == Scope::kElastic && sgd && job.shard_samples.empty() && !OneIn(4)) AdaptSteps();
  }

  // Local steps too, which nothing else may have a say in.
  void AdaptSteps() {
    aggregate::Options& how = options_.job.aggregation;
    how = {.combine = how.combine, .quorum = how.quorum, .over_selection = how.over_selection};
    if (OneIn(3)) how.quorum = rng_.NextUniform(0.5, 0.9);
    how.most_local_steps = 4;
    how.outer_lr = 1;
    how.outer_momentum = 0;
    // A lease may be so many times as large.
    for (DeviceOptions& device : options_.devices) device.storage_bytes *= how.most_local_steps;
  }

  base::Rng rng_;
  ClusterOptions options_;
};

// Sends each value of each update to within a hundredth of the largest.
bool SendsAll(const codec::CodecOptions& up) {
  if (codec::Selects(up) || up.name == "3lc") return false;
  const bool chooses = up.name == "chunk-topk" || up.name == "dgc";
  return !chooses || up.values == "fp32" || up.values == "fp16" || up.values == "int8";
}

// Rounding of the codecs and of sums in any order, over the steps of a short run. What rounding
// leaves of a whole batch weighs as many times more in an epoch's last step as that is smaller.
double Tolerance(const cluster::JobSpec& job) {
  const bool adamw = job.optimizer.kind == engine::OptimizerOptions::Kind::kAdamw;
  const double exact = adamw ? 1e-2 : 1e-4;
  const bool exact_up =
      job.codec_up.name == "dense" || (job.deterministic && job.codec_up.name != "fp16");
  if (exact_up) return job.codec_down.name == "dense" ? exact : 5e-2;
  if (job.codec_up.name == "fp16") return 5e-2;
  const int64_t batch = std::min(job.batch, job.samples);
  const int64_t rest = job.samples % batch;
  return 5e-2 * static_cast<double>(batch) / static_cast<double>(rest == 0 ? batch : rest);
}

// Each step has the samples that one plain loop would take, and all of their gradients: what a
// codec leaves for later moves the parameters later, by other rates and momenta, and what it leaves
// at the end of a run never does. How much of it there is says the ledger of the gradients' mass.
bool StepsArePlain(const cluster::JobSpec& job) {
  const aggregate::Options& how = job.aggregation;
  return how.mode == aggregate::Mode::kSync && !how.automatic && how.quorum == 1 &&
         job.shard_samples.empty() && how.combine == aggregate::Combine::kMean &&
         how.most_local_steps == 0 && SendsAll(job.codec_up);
}

// Deterministic jobs end with the same bits whatever happened, and whoever led. Where a codec
// leaves nothing out, they are those of plain updates.
std::vector<float> BitsOfACalmRun(const ClusterOptions& options) {
  ClusterOptions calm;
  calm.job = options.job;
  if (options.job.codec_up.name != "fp16") calm.job.codec_up = {};
  calm.job.start_workers = 1;
  calm.job.leaders = 1;
  calm.job.fed_sample_bytes = 0;
  calm.devices = EqualDevices(1, 1e-4);
  Cluster run(calm);
  run.Run(kLimit);
  return run.parameters();
}

// The end, as one line each for what is wrong with it.
std::vector<std::string> ProblemsAtTheEnd(const ClusterOptions& options, const Cluster& run) {
  if (!run.done()) {
    return {fmt::format("end: stands still, {:.0f} s without an end",
                        base::Seconds(kLimit + options.faults.until))};
  }
  const cluster::RunDone& done = *run.done();
  // Allowed where no device may have its data.
  const bool nobody_can = options.faults.unreadable_data > 0 &&
                          done.reason.find("no device can compute") != std::string::npos;
  if (nobody_can) return {};
  if (done.how != cluster::RunDone::How::kCompleted) return {"end: " + done.reason};
  std::vector<std::string> problems;
  if (done.lost_samples != 0 || done.duplicated_samples != 0) {
    problems.push_back(fmt::format("end: {} samples lost, {} duplicated; want none",
                                   done.lost_samples, done.duplicated_samples));
  }
  if (!StepsArePlain(options.job)) return problems;
  const std::vector<float> plain = RunToy(options.job).parameters;
  for (size_t i = 0; i < plain.size(); ++i) {
    if (std::abs(run.parameters()[i] - plain[i]) <= Tolerance(options.job)) continue;
    problems.push_back(fmt::format("end: parameter {} is {:g}; want {:g}, as one plain loop has it",
                                   i, run.parameters()[i], plain[i]));
    break;
  }
  if (options.job.deterministic && run.parameters() != BitsOfACalmRun(options)) {
    problems.push_back("end: the parameters are not those of a calm run; want the same bits");
  }
  return problems;
}

// What was drawn for the job, in a line.
std::string Describe(const ClusterOptions& options) {
  const cluster::JobSpec& job = options.job;
  const aggregate::Options& how = job.aggregation;
  constexpr const char* kModes[] = {"sync", "ssp", "async", "buffered"};
  return fmt::format(
      "{} of {} samples, {} epochs, {}, {} devices, {} leaders, quorum {:.2f}, over-selection {}, "
      "local steps {} to {}, max staleness {}, combine {}, {} shards, {} bytes a fed sample, {} up "
      "(density {}, values {:?}, {} warm-up, {} flush, {} of {}), {} down, {}",
      job.batch, job.samples, job.epochs,
      job.deterministic ? "deterministic" : kModes[static_cast<size_t>(how.mode)],
      options.devices.size(), job.leaders, how.quorum, how.over_selection, how.local_steps,
      how.most_local_steps, how.max_staleness, static_cast<int>(how.combine),
      job.shard_samples.size(), job.fed_sample_bytes, job.codec_up.name, job.codec_up.density,
      job.codec_up.values, job.codec_up.warmup, job.codec_up.flush, kToyFeatures,
      job.codec_up.tensors.empty() ? 0 : job.codec_up.tensors[0].count, job.codec_down.name,
      job.optimizer.kind == engine::OptimizerOptions::Kind::kAdamw ? "adamw" : "sgd");
}

}  // namespace

ClusterOptions RandomScenario(uint64_t seed, Scope scope) { return Draw(seed).All(scope); }

Result RunSeed(uint64_t seed, bool verbose, Scope scope) {
  const ClusterOptions options = RandomScenario(seed, scope);
  const auto checkers = AllCheckers(options.job, kMostBetweenSteps);
  Cluster run(options);
  for (const auto& checker : checkers) run.Watch(checker.get());
  run.loop().set_verbose(verbose);
  if (verbose) run.loop().Print(Describe(options));
  run.Run(kLimit + options.faults.until);
  Result result = run.result();
  result.violations = ViolationsOf(checkers);
  for (std::string& problem : ProblemsAtTheEnd(options, run)) {
    result.violations.push_back(std::move(problem));
  }
  return result;
}

std::string ReplayCommand(uint64_t seed, Scope scope) {
  return fmt::format("build/release/bin/sim_swarm --seeds {0}..{0} --verbose{1}", seed,
                     scope == Scope::kElastic ? " --elastic" : "");
}

}  // namespace weft::sim
