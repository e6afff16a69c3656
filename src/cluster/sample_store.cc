#include "cluster/sample_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "cluster/sample_cache.h"

namespace weft::cluster {

Actions SampleStore::Handle(TimePoint, Address from, const Message& message) {
  const auto* ask = std::get_if<AskSamples>(&message);
  if (ask == nullptr) {
    actions_.push_back(
        Emit{Warning{fmt::format("the store does not take {}; dropped", MessageName(message))}});
    return std::exchange(actions_, {});
  }
  if (ask->term != options_.term || IsKnown(from.device, ask->request)) return {};
  if (const Status fine = Check(*ask); !fine.ok()) {
    Answer(from, {.request = ask->request, .problem = fine.message()});
  } else if (waiting_[from.device].size() >= options_.most_waiting) {
    Answer(from, {.request = ask->request,
                  .problem = fmt::format("got over {} requests at a time", options_.most_waiting)});
  } else {
    waiting_[from.device].push_back({.to = from, .request = *ask});
    ReadNext();
  }
  return std::exchange(actions_, {});
}

Status SampleStore::Check(const AskSamples& ask) const {
  const int64_t count = std::ssize(ask.indices);
  const int64_t fit = std::max<int64_t>(1, kMostRequestBytes / options_.sample_bytes);
  const int64_t most = std::min(fit, kMostRequestSamples);
  if (count < 1 || count > most) {
    return InvalidArgument(fmt::format("got a request for {} samples, want 1..{}", count, most));
  }
  for (const int64_t index : ask.indices) {
    if (index >= 0 && index < options_.samples) continue;
    return InvalidArgument(
        fmt::format("got a request for sample {}, want 0..{}", index, options_.samples - 1));
  }
  return OkStatus();
}

bool SampleStore::IsKnown(DeviceId device, uint64_t request) const {
  const auto is_it = [&](const ReadSamples& read) {
    return read.to.device == device && read.request.request == request;
  };
  if (std::ranges::any_of(reading_, is_it)) return true;
  const auto waiting = waiting_.find(device);
  return waiting != waiting_.end() && std::ranges::any_of(waiting->second, is_it);
}

Actions SampleStore::OnRead(TimePoint, const ReadSamples& read, const Status& status,
                            Payload values) {
  std::erase_if(reading_, [&](const ReadSamples& other) {
    return other.to == read.to && other.request.request == read.request.request;
  });
  Samples samples{.request = read.request.request};
  if (status.ok()) {
    samples.count = std::ssize(read.request.indices);
    samples.values = std::move(values);
  } else {
    samples.problem = status.message();
  }
  Answer(read.to, std::move(samples));
  ReadNext();
  return std::exchange(actions_, {});
}

void SampleStore::Forget(DeviceId device) { waiting_.erase(device); }

void SampleStore::Answer(Address to, Samples samples) {
  samples.term = options_.term;
  actions_.push_back(Send{to, std::move(samples)});
}

void SampleStore::ReadNext() {
  while (reading_.size() < options_.most_reading && !waiting_.empty()) {
    auto turn = waiting_.upper_bound(last_);
    if (turn == waiting_.end()) turn = waiting_.begin();
    last_ = turn->first;
    ReadSamples read = std::move(turn->second.front());
    turn->second.pop_front();
    if (turn->second.empty()) waiting_.erase(turn);
    reading_.push_back(read);
    actions_.push_back(std::move(read));
  }
}

}  // namespace weft::cluster
