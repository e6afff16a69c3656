// Shard: what it sends to whoever asks for parameters.

#include "base/check.h"
#include "cluster/shard.h"

namespace weft::cluster {

void Shard::On(Address from, const Pull& pull) {
  if (pull.term < term()) return;
  if (pull.term > term() || pull.version > version_) {
    pulls_[from] = pull;
    return;
  }
  AnswerPull(pull, from);
}

// What its workers hold, at version_; null where they hold the parameters themselves. Whoever leads
// after this begins with the parameters, and with whole ranges.
DeltaLog* Shard::Log() {
  if (!leads_ || !codec::SendsDifferences(context_->spec.codec_down)) return nullptr;
  if (log_ == nullptr) log_ = BeginLog();
  log_->CatchUp(version_, parameters_, gradient_);
  return log_.get();
}

// What is sent of the new version.
void Shard::Aim(const BeginStep& begin) {
  const auto target = TargetOf(begin.density, begin.value_kind);
  if (!target) return;
  aim_ = target;
  if (log_ != nullptr) log_->Aim(*target);
}

// No device comes twice in a run, nor a number on a device.
std::unique_ptr<DeltaLog> Shard::BeginLog() {
  const uint64_t number = uint64_t{context_->self.device} << 32 | ++context_->logs;
  const double whole = context_->spec.value_weight *
                       static_cast<double>(context_->down->MaxBytes(parameters_.size()));
  auto codec = codec::MakeCodec(context_->spec.codec_down);
  CHECK(codec.ok()) << "checked when the leader was made";
  auto log =
      std::make_unique<DeltaLog>(std::move(codec).value(),
                                 DeltaLog::Options{.number = number,
                                                   .range = range_,
                                                   .run = context_->run,
                                                   .whole_bytes = static_cast<size_t>(whole)},
                                 version_, parameters_);
  if (aim_) log->Aim(*aim_);
  return log;
}

Payload Shard::Encoded() {
  if (encoded_ != nullptr) return encoded_;
  const DeltaLog* log = Log();
  const std::span<const float> values = log == nullptr ? parameters_ : log->held();
  auto packet = std::make_shared<Bytes>();
  packet->reserve(context_->down->MaxBytes(values.size()));
  CHECK(context_->down->Encode(values, {}, packet.get()).ok());
  return encoded_ = std::move(packet);
}

// The difference to what the asker holds, where the log has that and it is the lesser.
Parameters Shard::Newest(const Pull& pull) {
  Parameters newest{.term = pull.term, .version = version_, .values = nullptr, .range = range_};
  if (DeltaLog* log = Log()) {
    newest.log = log->number();
    const auto deltas = pull.log == log->number() ? log->Since(pull.base) : std::nullopt;
    if (deltas) {
      newest.values = *deltas;
      newest.base = pull.base;
      return newest;
    }
  }
  newest.values = Encoded();
  return newest;
}

// The newest, but to one that computes a lease of the step that is applied here, and elsewhere is
// not, what it started from. In a stream once the standby has the version: one that dies with its
// leader has gone to nobody, so whoever leads next has all that its workers computed with.
void Shard::AnswerPull(const Pull& pull, Address to) {
  if (!stream_ && before_ != nullptr && pull.version == version_ - 1) {
    return context_->SendTo(to, Parameters{pull.term, pull.version, before_, range_});
  }
  Parameters parameters = Newest(pull);
  const aggregate::Options& options = context_->spec.aggregation;
  const bool compensates = options.delay_compensation > 0 && !options.TrainsLocally();
  if (stream_ && compensates) bases_.Note(to, version_, log_ ? log_->held() : parameters_);
  if (!stream_) return context_->SendTo(to, std::move(parameters));
  Due due;
  due.actions.push_back(Send{to, std::move(parameters)});
  SayWhenSafe(std::move(due));
}

void Shard::AnswerPulls() {
  for (auto it = pulls_.begin(); it != pulls_.end();) {
    const auto& [to, pull] = *it;
    const bool due = pull.term == term() && pull.version <= version_;
    if (due) AnswerPull(pull, to);
    it = due ? pulls_.erase(it) : std::next(it);
  }
}

}  // namespace weft::cluster
