#include "data/wav_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/file_system.h"
#include "base/test_folder.h"
#include "data/mfcc.h"
#include "data/test_files.h"
#include "data/test_sounds.h"

namespace weft::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Speakers on each side of the published rule.
constexpr char kTrainSpeaker[] = "0a7c2a8d";
constexpr char kTestSpeaker[] = "0a7c2b9a";
constexpr char kValidationSpeaker[] = "0a7c2a91";

// Three classes by pitch, and what has to be passed over.
class WavFolderTest : public testing::Test {
 protected:
  WavFolderTest() {
    for (const char* speaker : {kTrainSpeaker, kTestSpeaker, kValidationSpeaker}) {
      for (const char* word : {"low", "mid", "high"}) AddClip(word, Clip(speaker), PitchOf(word));
    }
    AddClip("_background_noise_", "noise.wav", 50);
    Write("README.md", "no class");
    Write("low/notes.txt", "no clip");
  }

  static std::string Clip(const std::string& speaker) { return speaker + "_nohash_0.wav"; }
  static double PitchOf(const std::string& word) {
    return word == "low" ? 300 : word == "mid" ? 900 : 2700;
  }
  void Write(const std::string& name, std::string_view text) {
    WriteTestFile(folder_ / name, base::AsBytes(text));
  }
  void AddClip(const std::string& word, const std::string& file, double hz, size_t n = 16000) {
    CHECK(base::LocalFileSystem().MakeDirs(folder_ / word).ok());
    WriteTestFile(folder_ / (word + "/" + file), WavBytes({}, PcmBytes(Tone(hz, n))));
  }
  Result<std::unique_ptr<Dataset>> Open(const std::string& params = "", bool train = true) {
    return OpenDataset({.source = "wav:" + folder_.path() + params, .train = train});
  }
  std::string ErrorOf(const std::string& params) {
    const auto opened = Open(params);
    EXPECT_FALSE(opened.ok()) << params;
    return opened.ok() ? "" : opened.status().message();
  }
  // How many clips of each class.
  static std::vector<int> Counts(const Dataset& dataset) {
    std::vector<int> counts(static_cast<size_t>(dataset.classes()));
    std::vector<float> sample(static_cast<size_t>(dataset.sample_shape().elements()));
    for (int64_t i = 0; i < dataset.size(); ++i) {
      ++counts.at(static_cast<size_t>(dataset.Read(i, {}, sample)));
    }
    return counts;
  }

  base::TestFolder folder_;
};

TEST_F(WavFolderTest, SamplesAreTheFeaturesOfTheClips) {
  const auto dataset = Open();
  ASSERT_TRUE(dataset.ok()) << dataset.status().ToString();
  EXPECT_THAT((*dataset)->class_names(), ElementsAre("high", "low", "mid"));
  EXPECT_EQ((*dataset)->sample_shape(), (Shape{1, 49, 10}));
  EXPECT_EQ((*dataset)->feature_axis(), 2);
  EXPECT_THAT((*dataset)->description(), HasSubstr("3 clips as features of 1x49x10, 3 classes"));
  Result<Mfcc> mfcc = Mfcc::Make({});
  std::vector<float> want(490), got(490);
  for (int64_t i = 0; i < 3; ++i) {
    const int32_t label = (*dataset)->Read(i, {}, got);
    const std::string word = (*dataset)->class_names()[static_cast<size_t>(label)];
    mfcc->Compute(Tone(PitchOf(word)), want);
    // 16 bits do not hold the tone exactly; most of the bands hold little else than that.
    EXPECT_NEAR(got[0], want[0], 0.2 * std::abs(want[0])) << word;
    for (size_t c = 1; c < 4; ++c) EXPECT_NEAR(got[c], want[c], 6) << word;
  }
}

TEST_F(WavFolderTest, SplitsBySpeakerWithoutLists) {
  AddClip("mid", std::string(kTrainSpeaker) + "_nohash_1.wav", 900);
  EXPECT_THAT(Counts(**Open("", true)), ElementsAre(1, 1, 2));
  EXPECT_THAT(Counts(**Open("", false)), ElementsAre(1, 1, 1));
}

TEST_F(WavFolderTest, SplitsByTheListsOfSpeechCommands) {
  Write("testing_list.txt", "low/" + Clip(kTrainSpeaker) + "\nmid/" + Clip(kTestSpeaker) + "\n");
  EXPECT_THAT(Counts(**Open("", false)), ElementsAre(0, 1, 1));
  EXPECT_THAT(Counts(**Open("", true)), ElementsAre(3, 2, 2));
  Write("validation_list.txt", "high/" + Clip(kValidationSpeaker) + "\n");
  EXPECT_THAT(Counts(**Open("", true)), ElementsAre(2, 2, 2));
}

TEST_F(WavFolderTest, SplitsByTwoLists) {
  Write("train.txt", "low/" + Clip(kTestSpeaker) + "\n_background_noise_/noise.wav\n");
  Write("test.txt", "high/" + Clip(kTrainSpeaker) + "\n");
  EXPECT_THAT(Counts(**Open("", true)), ElementsAre(0, 1, 0));
  EXPECT_THAT(Counts(**Open("", false)), ElementsAre(1, 0, 0));
}

TEST_F(WavFolderTest, AGivenListIsTheSetForBothParts) {
  Write("mine.txt", "low/" + Clip(kTestSpeaker) + "\nmid/" + Clip(kTrainSpeaker) + "\n");
  for (const bool train : {true, false}) {
    const auto dataset = Open("?list=mine.txt", train);
    ASSERT_TRUE(dataset.ok()) << dataset.status().ToString();
    EXPECT_THAT(Counts(**dataset), ElementsAre(0, 1, 1));
    EXPECT_THAT((*dataset)->description(), HasSubstr("(mine.txt)"));
  }
}

TEST_F(WavFolderTest, ParametersShapeTheFeatures) {
  EXPECT_EQ((*Open("?features=logmel"))->sample_shape(), (Shape{1, 49, 40}));
  EXPECT_EQ((*Open("?features=logmel&mels=20&window_ms=30&stride_ms=10"))->sample_shape(),
            (Shape{1, 98, 20}));
  EXPECT_EQ((*Open("?clip_ms=500&coefficients=13&high_hz=7600"))->sample_shape(),
            (Shape{1, 24, 13}));
}

TEST_F(WavFolderTest, ShortClipsEndInSilenceAndLongOnesAreCut) {
  AddClip("low", "short_nohash_0.wav", 300, 8000);
  AddClip("mid", "long_nohash_0.wav", 300, 48000);
  Write("mine.txt", "low/short_nohash_0.wav\nmid/long_nohash_0.wav\n");
  const auto dataset = Open("?list=mine.txt");
  ASSERT_TRUE(dataset.ok()) << dataset.status().ToString();
  std::vector<float> sample(490);
  for (int64_t i = 0; i < 2; ++i) {
    const bool is_short = (*dataset)->Read(i, {}, sample) == 1;
    const float silence = std::sqrt(40.0f) * std::log(1e-6f);
    EXPECT_GT(sample[0], silence + 5);
    EXPECT_EQ(std::abs(sample[480] - silence) < 1e-3f, is_short);
  }
}

// The first samples are of several classes, so that a limit or a measurement takes of each.
TEST_F(WavFolderTest, MixesTheClasses) {
  std::string list;
  for (int i = 0; i < 20; ++i) {
    for (const char* word : {"low", "mid", "high"}) {
      const std::string file = "s" + std::to_string(i) + "_nohash_0.wav";
      AddClip(word, file, 300, 100);
      list += std::string(word) + "/" + file + "\n";
    }
  }
  Write("mine.txt", list);
  const auto dataset = Open("?list=mine.txt");
  std::set<int32_t> seen;
  std::vector<float> sample(490);
  for (int64_t i = 0; i < 12; ++i) seen.insert((*dataset)->Read(i, {}, sample));
  EXPECT_EQ(seen.size(), 3u);
}

TEST_F(WavFolderTest, SaysWhatIsWrong) {
  EXPECT_THAT(ErrorOf("?windows_ms=30"), HasSubstr("windows_ms: unknown key; did you mean"));
  EXPECT_THAT(ErrorOf("?features=mfc"), HasSubstr("got \"mfc\", want mfcc or logmel"));
  EXPECT_THAT(ErrorOf("?features=logmel&coefficients=10"),
              HasSubstr("coefficients: is read by features=mfcc only"));
  EXPECT_THAT(ErrorOf("?mels=5000"), HasSubstr("mels: got 5000, want 2..512"));
  EXPECT_THAT(ErrorOf("?clip_ms=20"),
              HasSubstr("window_ms: got 40, want at most the 20 of clip_ms"));
  EXPECT_THAT(ErrorOf("?list=none.txt"), HasSubstr("none.txt"));
  EXPECT_THAT(ErrorOf("?rate=8000"), HasSubstr("rate: got 16000 samples a second, want 8000"));
  Write("bad.txt", "loud/a.wav\n");
  EXPECT_THAT(ErrorOf("?list=bad.txt"), HasSubstr("bad.txt: loud/a.wav: got class \"loud\""));
  Write("gone.txt", "low/gone.wav\n");
  EXPECT_EQ(Open("?list=gone.txt").status().code(), Code::kNotFound);
  EXPECT_THAT(ErrorOf("?list=gone.txt"), HasSubstr("low/gone.wav"));
  Write("empty.txt", "");
  EXPECT_THAT(ErrorOf("?list=empty.txt"), HasSubstr("got no clips (empty.txt)"));
}

TEST(WavFolder, WantsFoldersOfClips) {
  const base::TestFolder folder;
  const auto missing = OpenDataset({.source = "wav:" + folder / "none"});
  EXPECT_EQ(missing.status().code(), Code::kNotFound);
  EXPECT_THAT(missing.status().message(), HasSubstr("none: no such folder"));
  const auto empty = OpenDataset({.source = "wav:" + folder.path()});
  EXPECT_EQ(empty.status().code(), Code::kNotFound);
  EXPECT_THAT(empty.status().message(), HasSubstr("got 0 folders of clips"));
}

}  // namespace
}  // namespace weft::data
