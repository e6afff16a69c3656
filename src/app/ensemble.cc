#include "app/ensemble.h"

#include <fmt/format.h>

#include "aggregate/vote.h"
#include "base/check.h"

namespace weft::app {
namespace {

Status Unlike(const Voter& first, const Voter& other, const std::string& what) {
  return InvalidArgument(fmt::format("{}: {}; want runs whose test data are those of {}",
                                     other.name, what, first.name));
}

Status CheckAlike(const Voter& first, const Voter& other) {
  const int64_t classes = other.subject.graph->classes();
  const int64_t want = first.subject.graph->classes();
  if (classes != want) {
    return Unlike(first, other, fmt::format("its model: got {} classes, want {}", classes, want));
  }
  const data::Dataset& data = *other.subject.dataset;
  const data::Dataset& first_data = *first.subject.dataset;
  if (data.size() != first_data.size()) {
    return Unlike(
        first, other,
        fmt::format("its test data: got {} samples, want {}", data.size(), first_data.size()));
  }
  for (int64_t i = 0; i < data.size(); ++i) {
    if (data.Label(i) == first_data.Label(i)) continue;
    return Unlike(first, other,
                  fmt::format("its test sample {}: got label {}, want {}", i, data.Label(i),
                              first_data.Label(i)));
  }
  return OkStatus();
}

}  // namespace

Status CheckVoters(std::span<const Voter> voters) {
  CHECK(!voters.empty());
  for (const Voter& voter : voters.subspan(1)) RETURN_IF_ERROR(CheckAlike(voters.front(), voter));
  return OkStatus();
}

VoteCount CountVotes(std::span<const Voter> voters) {
  CHECK(!voters.empty());
  const int64_t classes = voters.front().subject.graph->classes();
  const data::Dataset& data = *voters.front().subject.dataset;
  std::vector<std::span<const float>> logits;
  for (const Voter& voter : voters) logits.emplace_back(voter.logits);
  const std::vector<int32_t> named = aggregate::MajorityVote(logits, classes);
  VoteCount count;
  count.samples = data.size();
  if (classes <= kMostConfusionClasses) count.confusion.emplace(classes, data.class_names());
  int64_t correct = 0;
  for (int64_t i = 0; i < count.samples; ++i) {
    const int32_t predicted = named[static_cast<size_t>(i)];
    correct += predicted == data.Label(i);
    if (count.confusion) count.confusion->Add(data.Label(i), predicted);
  }
  count.accuracy = static_cast<double>(correct) / static_cast<double>(count.samples);
  return count;
}

}  // namespace weft::app
