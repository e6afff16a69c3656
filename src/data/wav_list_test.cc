#include "data/wav_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/bytes.h"
#include "base/file_system.h"

namespace weft::data {
namespace {

using ::testing::ElementsAre;

std::string ErrorOf(std::string_view text) {
  const auto names = ParseWavList(text, "list.txt");
  EXPECT_EQ(names.status().code(), Code::kDataLoss) << text;
  return names.status().message();
}

TEST(WavList, ReadsLinesWithEitherEnd) {
  const auto names = ParseWavList("yes/a_nohash_0.wav\r\n\nno/b.wav", "list.txt");
  ASSERT_TRUE(names.ok()) << names.status().ToString();
  EXPECT_THAT(*names, ElementsAre(WavName{"yes", "a_nohash_0.wav"}, WavName{"no", "b.wav"}));
  EXPECT_TRUE(ParseWavList("", "list.txt")->empty());
}

TEST(WavList, NamesTheLineThatIsWrong) {
  EXPECT_EQ(ErrorOf("yes/a.wav\nb.wav\n"), "list.txt:2: got \"b.wav\", want CLASS/FILE.wav");
  EXPECT_EQ(ErrorOf("yes/a.wav\n\nyes/a.wav\n"),
            "list.txt:3: got yes/a.wav a second time, want each once");
}

TEST(WavList, NothingLeadsOutOfTheFolder) {
  for (const char* line : {"../a.wav", "/a.wav", "yes/../a.wav", "./a.wav", "yes/", "yes/a.mp3",
                           "/etc/a.wav", "a/b/c.wav"}) {
    ErrorOf(line);
  }
  ErrorOf(std::string_view("yes/a\0.wav", 10));
}

// Worked out with the function in the README of Speech Commands.
TEST(PartOfSpeaker, FollowsThePublishedRule) {
  EXPECT_EQ(PartOfSpeaker("0a7c2a8d_nohash_0.wav"), WavPart::kTrain);       // 56.84 %
  EXPECT_EQ(PartOfSpeaker("0a7c2a91_nohash_0.wav"), WavPart::kValidation);  // 5.44 %
  EXPECT_EQ(PartOfSpeaker("0a7c2b15_nohash_3.wav"), WavPart::kValidation);  // 9.81 %
  EXPECT_EQ(PartOfSpeaker("0a7c2b9a_nohash_1.wav"), WavPart::kTest);        // 10.19 %
  EXPECT_EQ(PartOfSpeaker("0a7c2b45_nohash_0.wav"), WavPart::kTest);        // 19.92 %
  EXPECT_EQ(PartOfSpeaker("bbc.wav"), WavPart::kTrain);                     // 91.82 %
}

TEST(PartOfSpeaker, KeepsASpeakerOnOneSide) {
  for (int clip = 0; clip < 20; ++clip) {
    EXPECT_EQ(PartOfSpeaker("0a7c2b9a_nohash_" + std::to_string(clip) + ".wav"), WavPart::kTest);
  }
}

// The published test set, where it is: its words were put there by this very rule.
TEST(PartOfSpeaker, AgreesWithThePublishedTestSet) {
  const char* given = std::getenv("WEFT_SHARED");
  const std::string shared = given != nullptr ? given : WEFT_SOURCE_DIR "/../shared";
  const auto text = base::LocalFileSystem().ReadFile(shared + "/data/speech-commands/train.txt");
  if (!text.ok()) {
    GTEST_SKIP() << text.status().message()
                 << "; set WEFT_SHARED to the folder with data/speech-commands";
  }
  const auto names = ParseWavList(base::AsText(*text), "train.txt");
  ASSERT_TRUE(names.ok()) << names.status().ToString();
  int words = 0;
  for (const WavName& name : *names) {
    // Clips of _silence_ and _unknown_ bear other names than they had when they were dealt out.
    if (name.folder.starts_with('_')) continue;
    EXPECT_EQ(PartOfSpeaker(name.file), WavPart::kTest) << name.file;
    ++words;
  }
  EXPECT_GT(words, 1000);
}

}  // namespace
}  // namespace weft::data
