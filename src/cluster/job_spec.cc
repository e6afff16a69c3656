#include "cluster/job_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/hash.h"
#include "cluster/step_plan.h"
#include "codec/codec.h"

namespace weft::cluster {
namespace {

Status AtLeast(const char* field, int64_t got, int64_t least) {
  if (got >= least) return OkStatus();
  return base::InvalidArgument(fmt::format("{}: got {}, want {} or more", field, got, least));
}

Status CheckShares(const JobSpec& spec) {
  for (int64_t share : spec.shares) RETURN_IF_ERROR(AtLeast("shares", share, 0));
  const int64_t sum = std::accumulate(spec.shares.begin(), spec.shares.end(), int64_t{0});
  if (spec.shares.empty() || sum == spec.batch) return OkStatus();
  return base::InvalidArgument(
      fmt::format("shares: got a sum of {}, want the batch, {}", sum, spec.batch));
}

Status CheckSlots(const JobSpec& spec) {
  RETURN_IF_ERROR(AtLeast("slots", spec.slots, 1));
  const auto shares = static_cast<int64_t>(spec.shares.size());
  if (spec.slots > kMaxSlots || shares > kMaxSlots) {
    return base::InvalidArgument(
        fmt::format("slots: got {}, want at most {}", std::max(spec.slots, shares), kMaxSlots));
  }
  return CheckShares(spec);
}

Status CheckStatistics(const JobSpec& spec) {
  int64_t end = spec.trainable_count;
  for (const engine::StatisticStretch& stretch : spec.statistics) {
    if (stretch.begin != end || stretch.count < 0) {
      return base::InvalidArgument(
          fmt::format("statistics: got {} values from {}, want them to go on from {}",
                      stretch.count, stretch.begin, end));
    }
    end += stretch.count;
  }
  return OkStatus();
}

// What workers hold would depend on who has led, and since when.
Status CheckDown(const JobSpec& spec) {
  RETURN_IF_ERROR(codec::MakeCodec(spec.codec_down).status());
  if (!spec.deterministic || !codec::SendsDifferences(spec.codec_down)) return OkStatus();
  return base::InvalidArgument(fmt::format(
      "codec of the parameters: got \"{}\", want \"dense\" or \"fp16\" in a deterministic job",
      spec.codec_down.name));
}

}  // namespace

int64_t JobSpec::parameter_count() const {
  int64_t count = trainable_count;
  for (const engine::StatisticStretch& stretch : statistics) count += stretch.count;
  return count;
}

codec::Place JobSpec::PlaceOf(int64_t begin, int64_t version) const {
  return {.begin = begin, .run = RunTag(run), .base = version};
}

bool CorrectsMomentum(const codec::CodecOptions& up, const aggregate::Options& aggregation,
                      const engine::OptimizerOptions& optimizer) {
  return codec::Selects(up) && !aggregation.TrainsLocally() && engine::MomentumOf(optimizer) > 0;
}

uint64_t RunTag(const std::string& run) { return base::Fnv1a(base::AsBytes(run)); }

std::optional<codec::Target> TargetOf(double density, uint8_t value_kind) {
  if (!(density > 0) || value_kind >= codec::kValueKinds) return std::nullopt;
  return codec::Target{std::min(density, 1.0), static_cast<codec::ValueKind>(value_kind)};
}

Status Validate(const JobSpec& spec) {
  RETURN_IF_ERROR(AtLeast("samples", spec.samples, 1));
  RETURN_IF_ERROR(AtLeast("epochs", spec.epochs, 1));
  RETURN_IF_ERROR(AtLeast("batch", spec.batch, 1));
  RETURN_IF_ERROR(CheckSlots(spec));
  RETURN_IF_ERROR(AtLeast("checkpoint_every", spec.checkpoint_every, 0));
  RETURN_IF_ERROR(AtLeast("start_workers", spec.start_workers, 1));
  RETURN_IF_ERROR(AtLeast("leaders", spec.leaders, 0));
  RETURN_IF_ERROR(AtLeast("least_range", spec.least_range, 1));
  RETURN_IF_ERROR(AtLeast("local_steps", spec.aggregation.local_steps, 1));
  RETURN_IF_ERROR(AtLeast("heartbeat_ms", spec.heartbeat_ms, 1));
  RETURN_IF_ERROR(AtLeast("device_timeout_ms", spec.device_timeout_ms, 2 * spec.heartbeat_ms));
  RETURN_IF_ERROR(AtLeast("trainable_count", spec.trainable_count, 1));
  RETURN_IF_ERROR(CheckStatistics(spec));
  RETURN_IF_ERROR(codec::MakeCodec(spec.codec_up).status());
  return CheckDown(spec);
}

}  // namespace weft::cluster
