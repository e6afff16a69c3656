#include "aggregate/vote.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace weft::aggregate {
namespace {

struct Tally {
  int64_t votes = 0;
  double probability = 0;  // summed over the models
};

void Count(std::span<const float> logits, std::span<Tally> tallies) {
  if (std::ranges::any_of(logits, [](float x) { return std::isnan(x); })) return;
  const auto highest = std::ranges::max_element(logits);
  ++tallies[static_cast<size_t>(highest - logits.begin())].votes;
  double sum = 0;
  for (float x : logits) sum += std::exp(static_cast<double>(x) - static_cast<double>(*highest));
  for (size_t i = 0; i < logits.size(); ++i) {
    tallies[i].probability +=
        std::exp(static_cast<double>(logits[i]) - static_cast<double>(*highest)) / sum;
  }
}

}  // namespace

std::vector<int32_t> MajorityVote(std::span<const std::span<const float>> logits, int64_t classes) {
  CHECK(!logits.empty() && classes > 0);
  const auto width = static_cast<size_t>(classes);
  const size_t samples = logits.front().size() / width;
  for (const auto& model : logits) CHECK_EQ(model.size(), samples * width);
  std::vector<int32_t> labels(samples);
  std::vector<Tally> tallies(width);
  const auto fewer = [](const Tally& a, const Tally& b) {
    return a.votes != b.votes ? a.votes < b.votes : a.probability < b.probability;
  };
  for (size_t sample = 0; sample < samples; ++sample) {
    std::ranges::fill(tallies, Tally{});
    for (const auto& model : logits) Count(model.subspan(sample * width, width), tallies);
    labels[sample] =
        static_cast<int32_t>(std::ranges::max_element(tallies, fewer) - tallies.begin());
  }
  return labels;
}

}  // namespace weft::aggregate
