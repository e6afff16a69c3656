#include "data/partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>

#include "base/check.h"
#include "base/rng.h"
#include "base/text.h"

namespace weft::data {
namespace {

using Indices = std::vector<int64_t>;

constexpr uint64_t kStream = 0x7061727400;  // apart from other users of the seed

Status BadPartition(const std::string& text, const std::string& got) {
  const std::vector<std::string> names = {"iid", "dirichlet", "classes"};
  const auto nearest = base::DidYouMean(got, names);
  const bool hint = nearest && *nearest != got;
  return InvalidArgument(
      fmt::format("partition: got \"{}\", want iid, dirichlet:ALPHA (a number above 0) or "
                  "classes:K (a whole number from 1){}",
                  text, hint ? fmt::format(" (did you mean \"{}\"?)", *nearest) : ""));
}

template <class Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return value;
}

// Fisher and Yates.
void Shuffle(base::Rng* rng, Indices* indices) {
  for (size_t left = indices->size(); left > 1; --left) {
    std::swap((*indices)[left - 1], (*indices)[rng->NextBelow(left)]);
  }
}

// A whole turn of a random order of each class, classes ascending.
std::vector<Indices> ByClass(const Dataset& dataset, base::Rng* rng) {
  std::vector<Indices> classes(static_cast<size_t>(dataset.classes()));
  for (int64_t index = 0; index < dataset.size(); ++index) {
    const auto label = static_cast<size_t>(dataset.Label(index));
    CHECK(label < classes.size()) << "label is " << label;
    classes[label].push_back(index);
  }
  for (Indices& samples : classes) Shuffle(rng, &samples);
  return classes;
}

void Append(std::span<const int64_t> samples, Indices* shard) {
  shard->insert(shard->end(), samples.begin(), samples.end());
}

// Part `at` of `parts` nearly equal ones.
std::span<const int64_t> EvenPart(const Indices& samples, size_t at, size_t parts) {
  const size_t begin = samples.size() * at / parts;
  const size_t end = samples.size() * (at + 1) / parts;
  return std::span(samples).subspan(begin, end - begin);
}

void DealEvenly(const Dataset& dataset, base::Rng* rng, std::vector<Indices>* shards) {
  Indices all(static_cast<size_t>(dataset.size()));
  std::iota(all.begin(), all.end(), 0);
  Shuffle(rng, &all);
  for (size_t s = 0; s < shards->size(); ++s) {
    Append(EvenPart(all, s, shards->size()), &(*shards)[s]);
  }
}

// Of shape 1 or more and scale 1. Marsaglia and Tsang 2000, "A simple method for generating gamma
// variables".
double DrawGamma(double shape, base::Rng* rng) {
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = rng->NextNormal();
    const double v = std::pow(1 + c * x, 3);
    const double u = 1 - rng->NextUniform();  // in (0, 1]
    if (v > 0 && std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

// The logarithm, as a draw of a small shape is often below any double. Below shape 1 by that of
// shape + 1 times U^(1 / shape) (there, section 6).
double DrawLogGamma(double shape, base::Rng* rng) {
  if (shape >= 1) return std::log(DrawGamma(shape, rng));
  const double u = 1 - rng->NextUniform();
  return std::log(DrawGamma(shape + 1, rng)) + std::log(u) / shape;
}

// `n` proportions that sum up to 1.
std::vector<double> DrawDirichlet(double alpha, size_t n, base::Rng* rng) {
  std::vector<double> parts(n);
  for (double& part : parts) part = DrawLogGamma(alpha, rng);
  const double most = *std::max_element(parts.begin(), parts.end());
  double sum = 0;
  for (double& part : parts) sum += part = std::exp(part - most);
  for (double& part : parts) part /= sum;
  return parts;
}

void DealByDirichlet(const Dataset& dataset, double alpha, base::Rng* rng,
                     std::vector<Indices>* shards) {
  for (const Indices& samples : ByClass(dataset, rng)) {
    const std::vector<double> parts = DrawDirichlet(alpha, shards->size(), rng);
    const auto n = static_cast<double>(samples.size());
    double upto = 0;
    size_t begin = 0;
    for (size_t s = 0; s < shards->size(); ++s) {
      upto += parts[s];
      const bool last = s + 1 == shards->size();
      const auto cut = static_cast<size_t>(std::llround(std::min(upto, 1.0) * n));
      const size_t end = last ? samples.size() : cut;
      Append(std::span(samples).subspan(begin, end - begin), &(*shards)[s]);
      begin = end;
    }
  }
}

// The `count` classes that have been taken least, among equals by chance; each is taken once.
std::vector<size_t> TakeClasses(const std::vector<size_t>& classes, size_t count, base::Rng* rng,
                                std::vector<size_t>* taken) {
  std::vector<std::pair<std::pair<size_t, uint64_t>, size_t>> order;
  for (const size_t c : classes) order.push_back({{(*taken)[c], rng->Next()}, c});
  std::sort(order.begin(), order.end());
  std::vector<size_t> chosen;
  for (size_t i = 0; i < count; ++i) {
    chosen.push_back(order[i].second);
    ++(*taken)[order[i].second];
  }
  return chosen;
}

Status DealByClasses(const Dataset& dataset, int64_t wanted, base::Rng* rng,
                     std::vector<Indices>* shards) {
  const std::vector<Indices> samples = ByClass(dataset, rng);
  std::vector<size_t> present;
  for (size_t c = 0; c < samples.size(); ++c) {
    if (!samples[c].empty()) present.push_back(c);
  }
  const auto count = static_cast<size_t>(wanted);
  if (count > present.size()) {
    return InvalidArgument(fmt::format("partition: classes:{}: got {} classes of samples, want {}",
                                       wanted, present.size(), wanted));
  }
  if (count * shards->size() < present.size()) {
    return InvalidArgument(
        fmt::format("partition: classes:{}: got {} shards, want at least {}, so that each of the "
                    "{} classes is in one",
                    wanted, shards->size(), (present.size() + count - 1) / count, present.size()));
  }
  std::vector<size_t> taken(samples.size());
  std::vector<std::vector<size_t>> of_shard;
  for (size_t s = 0; s < shards->size(); ++s) {
    of_shard.push_back(TakeClasses(present, count, rng, &taken));
  }
  std::vector<size_t> given(samples.size());
  for (size_t s = 0; s < shards->size(); ++s) {
    for (const size_t c : of_shard[s]) {
      Append(EvenPart(samples[c], given[c]++, taken[c]), &(*shards)[s]);
    }
  }
  return OkStatus();
}

void FillEmptyShards(std::vector<Indices>* shards) {
  const auto smaller = [](const Indices& a, const Indices& b) { return a.size() < b.size(); };
  for (Indices& shard : *shards) {
    if (!shard.empty()) continue;
    Indices& largest = *std::max_element(shards->begin(), shards->end(), smaller);
    shard.push_back(largest.back());
    largest.pop_back();
  }
}

}  // namespace

Result<PartitionOptions> ParsePartition(const std::string& text) {
  using Kind = PartitionOptions::Kind;
  const size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  if (text == "iid") return PartitionOptions{};
  if (colon == std::string::npos) return BadPartition(text, name);
  const std::string_view number = std::string_view(text).substr(colon + 1);
  if (name == "dirichlet") {
    const auto alpha = ParseNumber<double>(number);
    if (!alpha || !(*alpha > 0) || !std::isfinite(*alpha)) return BadPartition(text, name);
    return PartitionOptions{.kind = Kind::kDirichlet, .alpha = *alpha};
  }
  if (name == "classes") {
    const auto classes = ParseNumber<int64_t>(number);
    if (!classes || *classes < 1) return BadPartition(text, name);
    return PartitionOptions{.kind = Kind::kClasses, .classes = *classes};
  }
  return BadPartition(text, name);
}

int64_t Partition::samples() const {
  int64_t sum = 0;
  for (const Indices& shard : shards) sum += std::ssize(shard);
  return sum;
}

std::vector<int64_t> Partition::sizes() const {
  std::vector<int64_t> result;
  for (const Indices& shard : shards) result.push_back(std::ssize(shard));
  return result;
}

Result<Partition> MakePartition(const Dataset& dataset, const PartitionOptions& options,
                                const ShardingOptions& sharding) {
  if (sharding.shards < 1 || sharding.shards > dataset.size()) {
    return InvalidArgument(
        fmt::format("partition: got {} shards for {} samples, want 1 up to as many as samples",
                    sharding.shards, dataset.size()));
  }
  Partition partition;
  partition.shards.resize(static_cast<size_t>(sharding.shards));
  base::Rng rng(base::DeriveSeed(sharding.seed, kStream));
  switch (options.kind) {
    case PartitionOptions::Kind::kIid:
      DealEvenly(dataset, &rng, &partition.shards);
      break;
    case PartitionOptions::Kind::kDirichlet:
      DealByDirichlet(dataset, options.alpha, &rng, &partition.shards);
      break;
    case PartitionOptions::Kind::kClasses:
      RETURN_IF_ERROR(DealByClasses(dataset, options.classes, &rng, &partition.shards));
      break;
  }
  FillEmptyShards(&partition.shards);
  for (Indices& shard : partition.shards) std::sort(shard.begin(), shard.end());
  return partition;
}

}  // namespace weft::data
