#include "data/partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "data/labelled_images.h"

namespace weft::data {
namespace {

using Kind = PartitionOptions::Kind;

// One pixel each; sample i is of class label(i).
std::unique_ptr<Dataset> Labels(Bytes labels, int64_t classes) {
  return DatasetFromImages({.shape = Shape{1, 1, 1},
                            .classes = classes,
                            .pixels = Bytes(labels.size()),
                            .labels = std::move(labels),
                            .description = "labels"});
}
std::unique_ptr<Dataset> EvenLabels(size_t n, int64_t classes) {
  Bytes labels(n);
  for (size_t i = 0; i < n; ++i) {
    labels[i] = static_cast<uint8_t>(i % static_cast<size_t>(classes));
  }
  return Labels(std::move(labels), classes);
}

Partition Cut(const Dataset& dataset, const std::string& text, const ShardingOptions& sharding) {
  return MakePartition(dataset, ParsePartition(text).value(), sharding).value();
}
std::string ErrorOf(const Dataset& dataset, const std::string& text, int64_t shards) {
  const auto made = MakePartition(dataset, ParsePartition(text).value(), {.shards = shards});
  return made.ok() ? "" : made.status().message();
}

void ExpectEachSampleOnce(const Partition& partition, int64_t n) {
  std::set<int64_t> seen;
  for (const auto& shard : partition.shards) {
    EXPECT_FALSE(shard.empty());
    EXPECT_TRUE(std::is_sorted(shard.begin(), shard.end()));
    seen.insert(shard.begin(), shard.end());
  }
  EXPECT_EQ(partition.samples(), n);
  EXPECT_EQ(std::ssize(seen), n);
  EXPECT_EQ(*seen.begin(), 0);
  EXPECT_EQ(*seen.rbegin(), n - 1);
}

// Samples of each class in a shard.
std::vector<double> Counts(const Dataset& dataset, const std::vector<int64_t>& shard) {
  std::vector<double> counts(static_cast<size_t>(dataset.classes()));
  for (const int64_t index : shard) ++counts[static_cast<size_t>(dataset.Label(index))];
  return counts;
}

// Mean over the shards of half the distance between a shard's classes and the whole set's: 0 for
// equal ones, near 1 for shards of one class each.
double Skew(const Dataset& dataset, const Partition& partition) {
  double sum = 0;
  for (const auto& shard : partition.shards) {
    for (const double count : Counts(dataset, shard)) {
      sum += std::abs(count / static_cast<double>(shard.size()) -
                      1.0 / static_cast<double>(dataset.classes())) /
             2;
    }
  }
  return sum / static_cast<double>(partition.shards.size());
}

TEST(ParsePartition, ReadsEachKind) {
  EXPECT_EQ(ParsePartition("iid")->kind, Kind::kIid);
  EXPECT_EQ(*ParsePartition("dirichlet:0.5"),
            (PartitionOptions{.kind = Kind::kDirichlet, .alpha = 0.5}));
  EXPECT_EQ(*ParsePartition("classes:2"), (PartitionOptions{.kind = Kind::kClasses, .classes = 2}));
}

TEST(ParsePartition, RefusesAllElse) {
  for (const char* text : {"", "iid:1", "dirichlet", "dirichlet:", "dirichlet:0", "dirichlet:-1",
                           "dirichlet:x", "dirichlet:inf", "dirichlet:nan", "dirichlet:1 ",
                           "classes", "classes:0", "classes:1.5", "classes:-2", "other:1"}) {
    const auto parsed = ParsePartition(text);
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument) << text;
  }
  EXPECT_NE(ParsePartition("dirichelt:1").status().message().find("did you mean \"dirichlet\"?"),
            std::string::npos);
}

TEST(Partition, CutsEvenly) {
  const auto dataset = EvenLabels(1003, 10);
  const Partition partition = Cut(*dataset, "iid", {.shards = 10, .seed = 1});
  ExpectEachSampleOnce(partition, 1003);
  for (const int64_t size : partition.sizes()) EXPECT_NEAR(static_cast<double>(size), 100.3, 1);
  EXPECT_LT(Skew(*dataset, partition), 0.2);
}

TEST(Partition, IsAFunctionOfTheSeed) {
  const auto dataset = EvenLabels(500, 10);
  for (const char* text : {"iid", "dirichlet:0.5", "classes:2"}) {
    const Partition one = Cut(*dataset, text, {.shards = 7, .seed = 3});
    EXPECT_EQ(one, Cut(*dataset, text, {.shards = 7, .seed = 3})) << text;
    EXPECT_FALSE(one == Cut(*dataset, text, {.shards = 7, .seed = 4})) << text;
  }
}

TEST(Partition, DirichletGetsEvenWithAlpha) {
  const auto dataset = EvenLabels(20000, 10);
  std::vector<double> skews;
  for (const char* text : {"dirichlet:0.1", "dirichlet:1", "dirichlet:100"}) {
    const Partition partition = Cut(*dataset, text, {.shards = 20, .seed = 5});
    ExpectEachSampleOnce(partition, 20000);
    skews.push_back(Skew(*dataset, partition));
  }
  EXPECT_GT(skews[0], 0.55);
  EXPECT_LT(skews[1], 0.5);
  EXPECT_GT(skews[1], 0.2);
  EXPECT_LT(skews[2], 0.06);
}

// A coordinate of a symmetric Dirichlet over S is Beta(alpha, (S-1) alpha): mean 1/S, variance
// (S-1) / (S^2 (S alpha + 1)).
TEST(Partition, DirichletHasItsMoments) {
  constexpr int64_t kClasses = 200, kEach = 1000, kShards = 5;
  const auto dataset = EvenLabels(kClasses * kEach, kClasses);
  for (const double alpha : {0.3, 1.0, 4.0}) {
    const auto made = MakePartition(*dataset, {.kind = Kind::kDirichlet, .alpha = alpha},
                                    {.shards = kShards, .seed = 11});
    double sum = 0, squares = 0;
    for (const auto& shard : made->shards) {
      for (const double count : Counts(*dataset, shard)) {
        sum += count / kEach;
        squares += count / kEach * count / kEach;
      }
    }
    const double n = kClasses * kShards, mean = sum / n;
    EXPECT_NEAR(mean, 0.2, 1e-9) << alpha;
    const double want = 4 / (25 * (5 * alpha + 1));
    EXPECT_NEAR(squares / n - mean * mean, want, 0.12 * want) << alpha;
  }
}

TEST(Partition, TinyAlphaLeavesNoShardEmpty) {
  const auto dataset = EvenLabels(100, 2);
  const Partition partition = Cut(*dataset, "dirichlet:0.0001", {.shards = 30, .seed = 2});
  ExpectEachSampleOnce(partition, 100);
}

TEST(Partition, GivesEachShardItsClasses) {
  const auto dataset = EvenLabels(6000, 10);
  for (const int64_t shards : {5, 20, 33}) {
    const Partition partition = Cut(*dataset, "classes:2", {.shards = shards, .seed = 1});
    ExpectEachSampleOnce(partition, 6000);
    std::map<size_t, int> shards_of_class;
    for (const auto& shard : partition.shards) {
      const std::vector<double> counts = Counts(*dataset, shard);
      EXPECT_EQ(std::ranges::count_if(counts, [](double count) { return count > 0; }), 2);
      for (size_t c = 0; c < counts.size(); ++c) shards_of_class[c] += counts[c] > 0 ? 1 : 0;
    }
    for (const auto& [c, n] : shards_of_class) {
      EXPECT_GE(n, 2 * shards / 10) << c;
      EXPECT_LE(n, 2 * shards / 10 + 1) << c;
    }
  }
}

TEST(Partition, PassesOverClassesWithoutSamples) {
  const auto dataset = Labels({0, 2, 0, 2, 2, 0}, 4);
  ExpectEachSampleOnce(Cut(*dataset, "classes:1", {.shards = 2, .seed = 1}), 6);
}

TEST(Partition, SaysWhatCannotBe) {
  const auto dataset = EvenLabels(100, 10);
  EXPECT_EQ(ErrorOf(*dataset, "iid", 101),
            "partition: got 101 shards for 100 samples, want 1 up to as many as samples");
  EXPECT_NE(ErrorOf(*dataset, "iid", 0), "");
  EXPECT_EQ(ErrorOf(*dataset, "classes:11", 10),
            "partition: classes:11: got 10 classes of samples, want 11");
  EXPECT_EQ(ErrorOf(*dataset, "classes:3", 3),
            "partition: classes:3: got 3 shards, want at least 4, so that each of the 10 classes "
            "is in one");
  EXPECT_EQ(ErrorOf(*dataset, "classes:3", 4), "");
}

}  // namespace
}  // namespace weft::data
