#include "data/batches.h"

#include <gtest/gtest.h>

#include <set>

#include "data/labelled_images.h"
#include "data/order.h"
#include "data/transform.h"

namespace weft::data {
namespace {

// Images of one pixel: sample i holds i, and is of class i mod 7.
std::unique_ptr<Dataset> Numbers(int64_t n) {
  LabelledImages images{
      .shape = Shape{1, 1, 1}, .classes = 7, .pixels = {}, .labels = {}, .description = "numbers"};
  for (int64_t i = 0; i < n; ++i) {
    images.pixels.push_back(static_cast<uint8_t>(i));
    images.labels.push_back(static_cast<uint8_t>(i % 7));
  }
  return DatasetFromImages(std::move(images));
}

Batch Read(const Dataset& dataset, const BatchRange& range) {
  Batch batch;
  ReadBatch(dataset, SampleOrder::Whole(3, dataset.size()), range, &batch);
  return batch;
}

void ExpectSame(const Batch& a, const Batch& b) {
  EXPECT_EQ(a.size, b.size);
  EXPECT_EQ(a.samples, b.samples);
  EXPECT_EQ(a.labels, b.labels);
  EXPECT_EQ(a.keys, b.keys);
}

TEST(ReadBatch, FollowsTheOrderOfTheEpoch) {
  const auto dataset = Numbers(100);
  const EpochOrder order(3, 2, 100);
  const Batch batch = Read(*dataset, {.epoch = 2, .begin = 40, .count = 10});
  ASSERT_EQ(batch.size, 10);
  for (int64_t i = 0; i < 10; ++i) {
    const int64_t index = order[40 + i];
    EXPECT_EQ(batch.samples[static_cast<size_t>(i)], static_cast<float>(index) / 255.0f);
    EXPECT_EQ(batch.labels[static_cast<size_t>(i)], index % 7);
  }
}

// Any shares of a range are the range: what distributed training leans on.
TEST(ReadBatch, SharesJoinToTheWhole) {
  const auto dataset = Augment(Numbers(100), {.crop_pad = 1, .flip = true});
  const Batch whole = Read(*dataset, {.epoch = 1, .begin = 10, .count = 50});
  Batch joined, share;
  for (const auto& [begin, count] :
       {std::pair<int64_t, int64_t>{10, 7}, {17, 40}, {57, 0}, {57, 3}}) {
    ReadBatch(*dataset, SampleOrder::Whole(3, 100), {.epoch = 1, .begin = begin, .count = count},
              &share);
    joined.size += share.size;
    joined.samples.insert(joined.samples.end(), share.samples.begin(), share.samples.end());
    joined.labels.insert(joined.labels.end(), share.labels.begin(), share.labels.end());
    joined.keys.insert(joined.keys.end(), share.keys.begin(), share.keys.end());
  }
  ExpectSame(joined, whole);
}

TEST(ReadBatch, KeysTellSamplesAndEpochsApart) {
  const auto dataset = Numbers(100);
  std::set<uint64_t> keys;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    const Batch batch = Read(*dataset, {.epoch = epoch, .begin = 0, .count = 100});
    keys.insert(batch.keys.begin(), batch.keys.end());
  }
  EXPECT_EQ(keys.size(), 300u);
  // The key is the sample's, wherever the order puts it.
  Batch unshuffled;
  ReadBatch(*dataset, SampleOrder::Whole(3, 100, false), {.epoch = 1, .begin = 0, .count = 100},
            &unshuffled);
  const Batch shuffled = Read(*dataset, {.epoch = 1, .begin = 0, .count = 100});
  for (size_t i = 0; i < 100; ++i) {
    const auto index = static_cast<size_t>(shuffled.samples[i] * 255.0f + 0.5f);
    EXPECT_EQ(shuffled.keys[i], unshuffled.keys[index]);
  }
}

TEST(ReadBatchDeathTest, RangeMustLieInTheSet) {
  EXPECT_DEATH(Read(*Numbers(10), {.epoch = 0, .begin = 5, .count = 6}),
               "got positions 5 \\+ 6 of 10");
}

class BatchReaderTest : public ::testing::Test {
 protected:
  static BatchRange Range(int64_t begin) { return {.epoch = 0, .begin = begin, .count = 10}; }
  void ExpectRange(int64_t begin) {
    SCOPED_TRACE(begin);
    Batch batch = reader_.Get(Range(begin));
    ExpectSame(batch, Read(*dataset_, Range(begin)));
    reader_.Recycle(std::move(batch));
  }

  const std::unique_ptr<Dataset> dataset_ = Numbers(200);
  BatchReader reader_{dataset_.get(), {.order = SampleOrder::Whole(3, 200), .depth = 2}};
};

TEST_F(BatchReaderTest, GivesWhatWasAnnounced) {
  for (int64_t begin = 0; begin < 200; begin += 10) reader_.Prefetch(Range(begin));
  for (int64_t begin = 0; begin < 200; begin += 10) ExpectRange(begin);
}

TEST_F(BatchReaderTest, GivesWhatWasNotAnnounced) {
  ExpectRange(50);
  reader_.Prefetch(Range(0));
  ExpectRange(50);
  ExpectRange(0);
}

TEST_F(BatchReaderTest, DropsWhatWasSkipped) {
  for (int64_t begin = 0; begin < 100; begin += 10) reader_.Prefetch(Range(begin));
  ExpectRange(70);  // beyond the depth
  ExpectRange(80);
  ExpectRange(10);  // dropped, and so read anew
  ExpectRange(90);
}

TEST_F(BatchReaderTest, ReadsARangeTwiceIfAskedTwice) {
  reader_.Prefetch(Range(0));
  reader_.Prefetch(Range(0));
  ExpectRange(0);
  ExpectRange(0);
  ExpectRange(0);
}

// What is dropped may vanish from the data set at once.
TEST_F(BatchReaderTest, DropsWhatIsNotWanted) {
  for (int64_t begin = 0; begin < 100; begin += 10) reader_.Prefetch(Range(begin));
  reader_.Drop([](const BatchRange& range) { return range.begin != 30 && range.begin != 50; });
  ExpectRange(30);
  ExpectRange(50);
  reader_.Drop([](const BatchRange&) { return true; });
  ExpectRange(50);
}

TEST_F(BatchReaderTest, MayEndWithReadsUnderWay) {
  for (int64_t begin = 0; begin < 100; begin += 10) reader_.Prefetch(Range(begin));
}

}  // namespace
}  // namespace weft::data
