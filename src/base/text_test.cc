#include "base/text.h"

#include <gtest/gtest.h>

namespace weft::base {
namespace {

const std::vector<std::string> kWords = {"epochs", "batch", "eval_every", "seed"};

TEST(Text, DidYouMeanFindsLikelyTypos) {
  EXPECT_EQ(DidYouMean("epoch", kWords), "epochs");
  EXPECT_EQ(DidYouMean("epcohs", kWords), "epochs");
  EXPECT_EQ(DidYouMean("sede", kWords), "seed");
  EXPECT_EQ(DidYouMean("epo", kWords), std::nullopt);
  EXPECT_EQ(DidYouMean("Batch", kWords), "batch");
  EXPECT_EQ(DidYouMean("eval-every", kWords), "eval_every");
  EXPECT_EQ(DidYouMean("sed", kWords), "seed");
}

TEST(Text, DidYouMeanIsSilentOnStrangers) {
  EXPECT_EQ(DidYouMean("learning_rate", kWords), std::nullopt);
  EXPECT_EQ(DidYouMean("xyz", kWords), std::nullopt);
  EXPECT_EQ(DidYouMean("epoch", {}), std::nullopt);
}

TEST(Text, DidYouMeanPrefersTheNearest) {
  const std::vector<std::string> choices = {"cifar100", "cifar10"};
  EXPECT_EQ(DidYouMean("cifr10", choices), "cifar10");
}

TEST(Text, JoinsAndSplits) {
  EXPECT_EQ(JoinChoices(std::vector<std::string>{"a"}), "a");
  EXPECT_EQ(JoinChoices(std::vector<std::string>{"a", "b", "c"}), "a, b or c");
  EXPECT_EQ(Split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(Split("", ','), std::vector<std::string>{""});
  EXPECT_EQ(Split("a,", ','), (std::vector<std::string>{"a", ""}));
}

TEST(Text, HumanUnits) {
  EXPECT_EQ(HumanBytes(512), "512 B");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanBytes(38.0 * 1024 * 1024), "38 MiB");
  EXPECT_EQ(ParseBytes("200 MiB").value(), 200 << 20);
  EXPECT_EQ(ParseBytes("1.5KiB").value(), 1536);
  EXPECT_EQ(ParseBytes("3 kB").value(), 3000);
  EXPECT_EQ(ParseBytes("4096").value(), 4096);
  for (const char* bad : {"", "MiB", "-1", "12 mb", "1 MiB x", "nan", "inf", "1e300", "9 PiB"}) {
    EXPECT_EQ(ParseBytes(bad).status().code(), Code::kInvalidArgument) << bad;
  }
  EXPECT_EQ(HumanDuration(8.24), "8.2 s");
  EXPECT_EQ(HumanDuration(59.97), "1 m 00 s");
  EXPECT_EQ(HumanDuration(200), "3 m 20 s");
  EXPECT_EQ(HumanDuration(3599.7), "1 h 00 m");
  EXPECT_EQ(HumanDuration(7500), "2 h 05 m");
}

TEST(Text, Durations) {
  using namespace std::chrono_literals;
  EXPECT_EQ(ParseDuration("90s").value(), 90s);
  EXPECT_EQ(ParseDuration("1h30m").value(), 90min);
  EXPECT_EQ(ParseDuration("1 h 30 m").value(), 90min);
  EXPECT_EQ(ParseDuration("5ms").value(), 5ms);
  EXPECT_EQ(ParseDuration("1.5m").value(), 90s);
  EXPECT_EQ(ParseDuration("250us").value(), 250us);
  EXPECT_EQ(ParseDuration("2d").value(), 48h);
  EXPECT_EQ(ParseDuration("0s").value(), 0s);
  for (const char* bad :
       {"", "90", "s", "-1s", "1 week", "1h30", "5 ms x", "nans", "infs", "1e99d"}) {
    EXPECT_EQ(ParseDuration(bad).status().code(), Code::kInvalidArgument) << bad;
  }
}

TEST(Text, Rates) {
  EXPECT_EQ(ParseRate("10Mbit/s").value(), 1e7);
  EXPECT_EQ(ParseRate("1 Gbit/s").value(), 1e9);
  EXPECT_EQ(ParseRate("64kbit/s").value(), 64e3);
  EXPECT_EQ(ParseRate("2MB/s").value(), 16e6);
  EXPECT_EQ(ParseRate("0.5bit/s").value(), 0.5);
  for (const char* bad :
       {"", "10", "10M", "Mbit/s", "-1Mbit/s", "10Mbit/sec", "10mbit/s", "inf Mbit/s"}) {
    EXPECT_EQ(ParseRate(bad).status().code(), Code::kInvalidArgument) << bad;
  }
  EXPECT_EQ(HumanRate(640), "640 bit/s");
  EXPECT_EQ(HumanRate(9600), "9.6 kbit/s");
  EXPECT_EQ(HumanRate(1e8), "100 Mbit/s");
}

}  // namespace
}  // namespace weft::base
