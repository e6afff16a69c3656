#pragma once
// Partition: a data set cut into shards that stand for the data of single devices, evenly or not.
// A pure function of the labels, the options and a seed, so every device can work it out.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/dataset.h"

namespace weft::data {

struct PartitionOptions {
  enum class Kind {
    kIid,  // equal parts of a random order
    // The samples of each class go to the shards in proportions drawn from a symmetric Dirichlet
    // distribution, separately for each class. After Hsu et al. 2019, "Measuring the effects of
    // non-identical data distribution", section 3, which draws the classes of each shard; this way
    // every sample belongs to one shard, and shards differ in size as well.
    kDirichlet,
    // Each shard has so many classes, and a class is shared evenly by the shards that have it.
    // McMahan et al. 2017, "Communication-efficient learning", section 3: there two a shard.
    kClasses,
  };
  Kind kind = Kind::kIid;
  double alpha = 0;     // of kDirichlet, above 0: the smaller, the more shards differ
  int64_t classes = 0;  // of kClasses, from 1
  bool operator==(const PartitionOptions&) const = default;
};

// "iid", "dirichlet:0.5", "classes:2". Errors: kInvalidArgument for anything else, with a
// did-you-mean.
Result<PartitionOptions> ParsePartition(const std::string& text);

struct Partition {
  // Indices of the data set, ascending within a shard; each in exactly one, and no shard is empty.
  std::vector<std::vector<int64_t>> shards;

  int64_t samples() const;
  // Of each shard, in order.
  std::vector<int64_t> sizes() const;
  bool operator==(const Partition&) const = default;
};

struct ShardingOptions {
  int64_t shards = 1;
  uint64_t seed = 0;
};

// A shard to which chance gives nothing gets a sample of the largest one. Errors: kInvalidArgument
// for fewer samples than shards, no shard, more classes a shard than there are, or too few places
// for all classes (which would leave samples to nobody); says the numbers.
Result<Partition> MakePartition(const Dataset& dataset, const PartitionOptions& options,
                                const ShardingOptions& sharding);

}  // namespace weft::data
