#include "data/wav.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "data/test_sounds.h"

namespace weft::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Bytes kThree = {0x00, 0x40, 0x00, 0xC0, 0xFF, 0x7F};  // 0.5, -0.5, 32767 / 32768

std::string ErrorOf(const Bytes& file, const WavOptions& options = {}) {
  const auto got = DecodeWav(file, options, "x.wav");
  EXPECT_EQ(got.status().code(), Code::kDataLoss);
  return got.status().message();
}

TEST(Wav, ReadsSixteenBits) {
  const auto got = DecodeWav(WavBytes({}, kThree), {}, "x.wav");
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_THAT(*got, ElementsAre(0.5f, -0.5f, 32767.0f / 32768));
}

TEST(Wav, ReadsFloatsAsTheyAre) {
  const Bytes file = WavBytes({.format = 3, .bits = 32}, FloatBytes({0.25f, -1.5f, 1e-7f}));
  const auto got = DecodeWav(file, {}, "x.wav");
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_THAT(*got, ElementsAre(0.25f, -1.5f, 1e-7f));
}

TEST(Wav, AveragesChannels) {
  const Bytes file =
      WavBytes({.channels = 2, .format = 3, .bits = 32}, FloatBytes({1, 0, -0.5f, 0.25f}));
  const auto got = DecodeWav(file, {}, "x.wav");
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_THAT(*got, ElementsAre(0.5f, -0.125f));
}

TEST(Wav, ReadsNoMoreThanAsked) {
  const Bytes file = WavBytes({}, PcmBytes(Tone(440, 5000)));
  for (const int64_t most : {1, 1024, 1025, 4999}) {
    const auto got = DecodeWav(file, {.max_samples = most}, "x.wav");
    ASSERT_TRUE(got.ok());
    EXPECT_EQ(std::ssize(*got), most);
  }
  EXPECT_EQ(DecodeWav(file, {}, "x.wav")->size(), 5000u);
}

TEST(Wav, AnotherRateIsAnErrorThatSaysSo) {
  EXPECT_EQ(ErrorOf(WavBytes({.rate = 44100}, kThree)),
            "x.wav: rate: got 44100 samples a second, want 16000; convert the file, or set "
            "rate=44100 if all files have it");
}

TEST(Wav, RefusesOtherEncodings) {
  EXPECT_THAT(ErrorOf(WavBytes({.bits = 24}, {1, 2, 3})),
              HasSubstr("x.wav: encoding: got Signed 24 bit PCM, want 16-bit PCM"));
}

TEST(Wav, RefusesWhatIsNoWav) {
  EXPECT_THAT(ErrorOf({}), HasSubstr("x.wav: is no WAV file"));
  EXPECT_THAT(ErrorOf({'f', 'L', 'a', 'C', 0, 0, 0, 34, 0, 0, 0, 0, 0}), HasSubstr("is no WAV"));
  const Bytes whole = WavBytes({}, kThree);
  EXPECT_EQ(ErrorOf(Bytes(whole.begin(), whole.end() - 1)),
            "x.wav: truncated: got 49 bytes, want the 50 of its header");
  for (size_t size = 0; size < whole.size(); ++size) {
    ErrorOf(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
  }
}

TEST(Wav, RefusesAFileWithoutSamples) {
  EXPECT_EQ(ErrorOf(WavBytes({}, {})), "x.wav: holds no samples");
}

TEST(Wav, RefusesSamplesThatAreNoNumbers) {
  const auto file = [](float bad) {
    return WavBytes({.format = 3, .bits = 32}, FloatBytes({0, bad}));
  };
  EXPECT_EQ(ErrorOf(file(std::numeric_limits<float>::quiet_NaN())),
            "x.wav: sample 1: got nan, want a number within +-1000000");
  EXPECT_THAT(ErrorOf(file(-std::numeric_limits<float>::infinity())), HasSubstr("got -inf"));
  EXPECT_THAT(ErrorOf(file(2e6f)), HasSubstr("got 2000000"));
}

}  // namespace
}  // namespace weft::data
