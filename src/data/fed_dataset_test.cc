#include "data/fed_dataset.h"

#include <gtest/gtest.h>

#include <numeric>

#include "data/batches.h"
#include "data/sample_packet.h"
#include "data/test_fed.h"
#include "data/transform.h"

namespace weft::data {
namespace {

Bytes PacketOf(const Dataset& dataset, const std::vector<int64_t>& indices) {
  Bytes packet;
  EncodeSamples(dataset, indices, &packet);
  return packet;
}

std::unique_ptr<Dataset> Decorated(std::shared_ptr<const Dataset> source) {
  const Normalisation measured = MeasureNormalisation(*RandomImages(40));
  return Augment(Normalise(Share(std::move(source)), measured),
                 {.crop_pad = 1, .flip = true, .noise = 0.1});
}

// A whole epoch through a window of a few samples: what training on fed samples leans on.
void ExpectSameEpoch(const std::shared_ptr<const Dataset>& source,
                     std::unique_ptr<Dataset> (*decorate)(std::shared_ptr<const Dataset>)) {
  const auto fed = std::make_shared<FedDataset>(FactsOf(*source));
  const auto from_files = decorate(source), from_store = decorate(fed);
  const SampleOrder order = SampleOrder::Whole(5, source->size());
  for (int64_t begin = 0; begin < source->size(); begin += 8) {
    const BatchRange range{.epoch = 3, .begin = begin, .count = 8};
    const std::vector<int64_t> indices = order.Indices(range);
    ASSERT_TRUE(fed->Put(indices, PacketOf(*source, indices)).ok());
    Batch want, got;
    ReadBatch(*from_files, order, range, &want);
    ReadBatch(*from_store, order, range, &got);
    EXPECT_EQ(got.samples, want.samples);
    EXPECT_EQ(got.labels, want.labels);
    EXPECT_EQ(got.keys, want.keys);
    fed->Drop(indices);
    EXPECT_EQ(fed->bytes(), 0);
  }
}

TEST(FedDataset, GivesTheEpochOfThePicturesThemselves) {
  ExpectSameEpoch(RandomImages(40), Decorated);
}

TEST(FedDataset, GivesTheEpochOfOtherNumbers) {
  ExpectSameEpoch(std::make_shared<RandomNumbers>(40), [](std::shared_ptr<const Dataset> source) {
    const Normalisation measured = MeasureNormalisation(RandomNumbers(40));
    return Augment(Normalise(Share(std::move(source)), measured),
                   {.time_shift = 2, .time_mask = 1});
  });
}

TEST(FedDataset, KnowsWhatItHolds) {
  const auto source = RandomImages(10);
  FedDataset fed(FactsOf(*source));
  EXPECT_EQ(FactsOf(fed), FactsOf(*source));
  EXPECT_FALSE(fed.Has(4));
  const std::vector<int64_t> indices = {4, 7};
  ASSERT_TRUE(fed.Put(indices, PacketOf(*source, indices)).ok());
  EXPECT_TRUE(fed.Has(4) && fed.Has(7) && !fed.Has(5));
  EXPECT_EQ(fed.bytes(), 2 * 30);
  ASSERT_TRUE(fed.Put(indices, PacketOf(*source, indices)).ok());
  EXPECT_EQ(fed.bytes(), 2 * 30);
  EXPECT_EQ(fed.Label(7), source->Label(7));
  fed.Drop(std::vector<int64_t>{4, 5});
  EXPECT_FALSE(fed.Has(4));
  EXPECT_EQ(fed.bytes(), 30);
}

TEST(FedDataset, RefusesWhatDoesNotFit) {
  const auto source = RandomImages(10);
  FedDataset fed(FactsOf(*source));
  const Bytes packet = PacketOf(*source, {1, 2});
  EXPECT_EQ(fed.Put(std::vector<int64_t>{1}, packet).code(), Code::kDataLoss);
  EXPECT_EQ(fed.Put(std::vector<int64_t>{1, 10}, packet).code(), Code::kInvalidArgument);
  EXPECT_EQ(fed.Put(std::vector<int64_t>{1, -1}, packet).code(), Code::kInvalidArgument);
  Bytes damaged = packet;
  damaged.back() ^= 1;
  EXPECT_EQ(fed.Put(std::vector<int64_t>{1, 2}, damaged).code(), Code::kDataLoss);
  DataFacts fewer = FactsOf(*source);
  fewer.classes = 1;
  std::vector<int64_t> all(10);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(FedDataset(fewer).Put(all, PacketOf(*source, all)).code(), Code::kDataLoss);
  DataFacts other = FactsOf(*source);
  other.shape = Shape{2, 3, 4};
  EXPECT_EQ(FedDataset(other).Put(std::vector<int64_t>{1, 2}, packet).code(), Code::kDataLoss);
  EXPECT_EQ(fed.bytes(), 0);
}

TEST(FedDatasetDeathTest, ReadsOnlyWhatItHolds) {
  const FedDataset fed({.size = 3, .shape = Shape{1, 1, 1}, .classes = 2});
  std::vector<float> sample(1);
  EXPECT_DEATH(fed.Read(1, {}, sample), "sample 1 is not here");
}

}  // namespace
}  // namespace weft::data
