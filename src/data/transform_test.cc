#include "data/transform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "data/labelled_images.h"
#include "data/synthetic.h"

namespace weft::data {
namespace {

using ::testing::HasSubstr;

// `count` images of `channels` x 4 x 5; the pixels of image i count up from 20 i + 1, so that all
// differ and none is zero.
std::unique_ptr<Dataset> Counting(int64_t count, int64_t channels = 1) {
  LabelledImages images{.shape = Shape{channels, 4, 5},
                        .classes = 2,
                        .pixels = {},
                        .labels = Bytes(static_cast<size_t>(count)),
                        .description = "counting"};
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < channels * 20; ++j) {
      images.pixels.push_back(static_cast<uint8_t>(20 * i + j + 1));
    }
  }
  return DatasetFromImages(std::move(images));
}

std::vector<float> ReadOne(const Dataset& dataset, int64_t index, const ReadContext& context = {}) {
  std::vector<float> sample(static_cast<size_t>(dataset.sample_shape().elements()));
  dataset.Read(index, context, sample);
  return sample;
}

// What a crop of the padded image at (down, right), then a mirror, must be; by the book.
std::vector<float> Expected(const std::vector<float>& image, int64_t down, int64_t right,
                            bool mirror) {
  std::vector<float> out;
  for (int64_t y = 0; y < 4; ++y) {
    for (int64_t x = 0; x < 5; ++x) {
      const int64_t from_y = y + down;
      const int64_t from_x = (mirror ? 4 - x : x) + right;
      const bool inside = from_y >= 0 && from_y < 4 && from_x >= 0 && from_x < 5;
      out.push_back(inside ? image[static_cast<size_t>(from_y * 5 + from_x)] : 0.0f);
    }
  }
  return out;
}

TEST(Normalise, GivesMeanZeroAndDeviationOne) {
  const auto dataset = Normalise(Counting(3, 2), {});
  std::vector<double> sums(2), squares(2);
  for (int64_t i = 0; i < 3; ++i) {
    const std::vector<float> sample = ReadOne(*dataset, i);
    for (size_t j = 0; j < sample.size(); ++j) {
      sums[j / 20] += sample[j];
      squares[j / 20] += double{sample[j]} * sample[j];
    }
  }
  for (size_t channel = 0; channel < 2; ++channel) {
    EXPECT_NEAR(sums[channel] / 60, 0, 1e-5);
    EXPECT_NEAR(squares[channel] / 60, 1, 1e-5);
  }
}

// Pictures whose last axis holds what differs in kind, as sounds do.
class ByLastAxis : public Dataset {
 public:
  int64_t size() const override { return 3; }
  Shape sample_shape() const override { return {1, 4, 5}; }
  int64_t classes() const override { return 2; }
  int feature_axis() const override { return 2; }
  int32_t Read(int64_t index, const ReadContext&, std::span<float> sample) const override {
    for (size_t i = 0; i < 20; ++i) {
      const auto kind = static_cast<float>(i % 5);
      sample[i] =
          100 * kind + (1 + kind) * static_cast<float>((static_cast<int64_t>(i) + index) % 7);
    }
    return 0;
  }
  int32_t Label(int64_t) const override { return 0; }
  std::string description() const override { return "by last axis"; }
};

TEST(Normalise, TakesEachIndexOfTheFeatureAxisByItself) {
  const Normalisation measured = MeasureNormalisation(ByLastAxis());
  ASSERT_EQ(measured.mean.size(), 5u);
  const auto dataset = Augment(Normalise(std::make_unique<ByLastAxis>(), {}), {});
  EXPECT_EQ(dataset->feature_axis(), 2);
  std::vector<double> sums(5), squares(5);
  for (int64_t index = 0; index < 3; ++index) {
    const std::vector<float> sample = ReadOne(*dataset, index);
    for (size_t i = 0; i < 20; ++i) {
      sums[i % 5] += sample[i];
      squares[i % 5] += double{sample[i]} * sample[i];
    }
  }
  for (size_t kind = 0; kind < 5; ++kind) {
    EXPECT_NEAR(sums[kind] / 12, 0, 1e-4);
    EXPECT_NEAR(squares[kind] / 12, 1, 1e-4);
  }
}

TEST(Normalise, TakesGivenValues) {
  const auto dataset = Normalise(Counting(1), {.mean = {0.5f}, .std = {0.25f}});
  EXPECT_FLOAT_EQ(ReadOne(*dataset, 0)[2], (3.0f / 255 - 0.5f) / 0.25f);
}

TEST(Normalise, AChannelOfOneValueBecomesZero) {
  const auto dataset = Normalise(DatasetFromImages({.shape = Shape{1, 1, 2},
                                                    .classes = 2,
                                                    .pixels = {7, 7},
                                                    .labels = {0},
                                                    .description = "flat"}),
                                 {});
  EXPECT_THAT(ReadOne(*dataset, 0), ::testing::Each(0.0f));
}

TEST(Normalise, MeasuresTheSameEveryTime) {
  const auto dataset = *OpenDataset({.source = "synthetic:shapes?n=200"});
  const Normalisation first = MeasureNormalisation(*dataset);
  const Normalisation second = MeasureNormalisation(*dataset);
  EXPECT_EQ(first.mean, second.mean);
  EXPECT_EQ(first.std, second.std);
  EXPECT_EQ(first.mean.size(), 3u);
}

TEST(NormaliseDeathTest, WantsOneValueAChannel) {
  EXPECT_DEATH(Normalise(Counting(1, 2), {.mean = {0.5f}, .std = {1.0f}}), "mean");
}

// Every draw is one of the crops and mirrors there are, and all of them come up.
TEST(Augment, DrawsEveryCropAndMirror) {
  constexpr int64_t kPad = 2;
  const std::vector<float> image = ReadOne(*Counting(1), 0);
  std::map<std::vector<float>, int> seen;
  for (int64_t down = -kPad; down <= kPad; ++down) {
    for (int64_t right = -kPad; right <= kPad; ++right) {
      for (const bool mirror : {false, true}) seen[Expected(image, down, right, mirror)] = 0;
    }
  }
  ASSERT_EQ(seen.size(), 50u);
  const auto dataset = Augment(Counting(1), {.crop_pad = kPad, .flip = true});
  for (int64_t epoch = 0; epoch < 2000; ++epoch) {
    const auto found = seen.find(ReadOne(*dataset, 0, {.seed = 1, .epoch = epoch}));
    ASSERT_NE(found, seen.end());
    ++found->second;
  }
  for (const auto& [sample, count] : seen) EXPECT_GT(count, 10);  // 40 expected
}

TEST(Augment, PadMayExceedTheImage) {
  const std::vector<float> image = ReadOne(*Counting(1), 0);
  std::set<std::vector<float>> possible;
  for (int64_t down = -9; down <= 9; ++down) {
    for (int64_t right = -9; right <= 9; ++right)
      possible.insert(Expected(image, down, right, false));
  }
  const auto dataset = Augment(Counting(1), {.crop_pad = 9});
  for (int64_t epoch = 0; epoch < 300; ++epoch) {
    EXPECT_EQ(possible.count(ReadOne(*dataset, 0, {.seed = 1, .epoch = epoch})), 1u);
  }
}

TEST(Augment, AllChannelsMoveTogether) {
  const auto dataset = Augment(Counting(1, 2), {.crop_pad = 1, .flip = true});
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    const std::vector<float> sample = ReadOne(*dataset, 0, {.seed = 1, .epoch = epoch});
    for (size_t j = 0; j < 20; ++j) {
      EXPECT_EQ(sample[j] == 0, sample[j + 20] == 0);
      if (sample[j] == 0) continue;
      EXPECT_NEAR(sample[j + 20] - sample[j], 20.0 / 255, 1e-6);
    }
  }
}

TEST(Augment, IsAPureFunctionOfSeedEpochAndIndex) {
  const auto dataset = Augment(Counting(5), {.crop_pad = 2, .flip = true});
  const auto draws = [&](uint64_t seed, int64_t epoch) {
    std::vector<std::vector<float>> samples;
    for (int64_t i = 0; i < 5; ++i) samples.push_back(ReadOne(*dataset, i, {seed, epoch}));
    return samples;
  };
  EXPECT_EQ(draws(1, 0), draws(1, 0));
  EXPECT_NE(draws(1, 0), draws(1, 1));
  EXPECT_NE(draws(1, 0), draws(2, 0));
}

TEST(Augment, DoingNothingChangesNothing) {
  const auto dataset = Augment(Counting(1), {});
  EXPECT_EQ(ReadOne(*dataset, 0, {.seed = 1, .epoch = 1}), ReadOne(*Counting(1), 0));
}

// Frame t of the moved sample is frame t - later of the image, or the one at the edge; by the book.
std::vector<float> Shifted(const std::vector<float>& image, int64_t later) {
  std::vector<float> out;
  for (int64_t t = 0; t < 4; ++t) {
    const int64_t from = std::clamp<int64_t>(t - later, 0, 3);
    for (int64_t x = 0; x < 5; ++x) out.push_back(image[static_cast<size_t>(from * 5 + x)]);
  }
  return out;
}

TEST(Augment, ShiftsInTimeAndRepeatsTheEdge) {
  for (const int64_t reach : {1, 3, 6}) {
    const std::vector<float> image = ReadOne(*Counting(1), 0);
    std::map<std::vector<float>, int> seen;
    for (int64_t later = -reach; later <= reach; ++later) seen[Shifted(image, later)] = 0;
    const auto dataset = Augment(Counting(1), {.time_shift = reach});
    for (int64_t epoch = 0; epoch < 1000; ++epoch) {
      const auto found = seen.find(ReadOne(*dataset, 0, {.seed = 1, .epoch = epoch}));
      ASSERT_NE(found, seen.end());
      ++found->second;
    }
    for (const auto& [sample, count] : seen) EXPECT_GT(count, 30) << "reach " << reach;
  }
}

TEST(Augment, BlanksFramesInARow) {
  const auto dataset = Augment(Counting(1), {.time_mask = 3});
  const std::vector<float> image = ReadOne(*Counting(1), 0);
  std::set<std::pair<int64_t, int64_t>> seen;  // first blank frame, how many
  for (int64_t epoch = 0; epoch < 500; ++epoch) {
    const std::vector<float> sample = ReadOne(*dataset, 0, {.seed = 1, .epoch = epoch});
    int64_t first = 4, blank = 0;
    for (int64_t t = 3; t >= 0; --t) {
      const bool zero = sample[static_cast<size_t>(t * 5)] == 0;
      for (size_t i = static_cast<size_t>(t * 5); i < static_cast<size_t>(t * 5 + 5); ++i) {
        EXPECT_EQ(sample[i], zero ? 0 : image[i]);
      }
      if (zero) first = t;
      blank += zero;
    }
    for (int64_t t = first; t < first + blank; ++t) {
      EXPECT_EQ(sample[static_cast<size_t>(t * 5)], 0) << "not in a row";
    }
    seen.insert({first, blank});
  }
  EXPECT_EQ(seen.size(), 1u + 4 + 3 + 2);  // none, and every place of one, two and three
}

TEST(Augment, AddsNoiseOfTheGivenDeviation) {
  const auto dataset = Augment(Counting(1), {.noise = 0.5});
  const std::vector<float> image = ReadOne(*Counting(1), 0);
  double sum = 0, squares = 0;
  for (int64_t epoch = 0; epoch < 500; ++epoch) {
    const std::vector<float> sample = ReadOne(*dataset, 0, {.seed = 1, .epoch = epoch});
    for (size_t i = 0; i < image.size(); ++i) {
      sum += sample[i] - image[i];
      squares += std::pow(sample[i] - image[i], 2);
    }
  }
  EXPECT_NEAR(sum / 10000, 0, 0.02);
  EXPECT_NEAR(std::sqrt(squares / 10000), 0.5, 0.015);
}

TEST(Limit, KeepsTheFirst) {
  const auto dataset = Limit(Counting(5), 2);
  EXPECT_EQ(dataset->size(), 2);
  EXPECT_EQ(ReadOne(*dataset, 1), ReadOne(*Counting(5), 1));
  EXPECT_THAT(dataset->description(), HasSubstr("the first 2 of counting"));
  EXPECT_EQ(Limit(Counting(5), 9)->size(), 5);
}

}  // namespace
}  // namespace weft::data
