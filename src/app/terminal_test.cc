#include "app/terminal.h"

#include <gtest/gtest.h>

#include <limits>

namespace weft::app {
namespace {

TEST(Terminal, FirstSetVariableDecidesTheLocale) {
  EXPECT_TRUE(IsUtf8Locale(nullptr, nullptr, "de_DE.UTF-8"));
  EXPECT_TRUE(IsUtf8Locale(nullptr, "C.utf8", "C"));
  EXPECT_FALSE(IsUtf8Locale("C", "en_US.UTF-8", "en_US.UTF-8"));
  EXPECT_TRUE(IsUtf8Locale("", "", "en_US.UTF-8"));
  EXPECT_FALSE(IsUtf8Locale(nullptr, nullptr, "en_US.ISO-8859-1"));
  EXPECT_FALSE(IsUtf8Locale(nullptr, nullptr, nullptr));
}

TEST(Terminal, BarsFillFromLeftToRight) {
  EXPECT_EQ(Bar(0, 4, true), "    ");
  EXPECT_EQ(Bar(1, 4, true), "████");
  EXPECT_EQ(Bar(0.5, 3, true), "█▌ ");
  EXPECT_EQ(Bar(0.03125, 4, true), "▏   ");
  EXPECT_EQ(Bar(0.5, 4, false), "##..");
  EXPECT_EQ(Bar(7, 2, false), "##");
  EXPECT_EQ(Bar(-1, 2, false), "..");
  EXPECT_EQ(Bar(std::numeric_limits<double>::quiet_NaN(), 2, false), "..");
  EXPECT_EQ(Bar(0.5, 0, true), "");
}

TEST(Terminal, EveryBarHasItsWidth) {
  for (int width = 0; width < 50; ++width) {
    for (int i = 0; i <= 100; ++i) {
      for (const bool utf8 : {false, true}) {
        ASSERT_EQ(Columns(Bar(i / 100.0, width, utf8)), width) << i;
      }
    }
  }
}

TEST(Terminal, LinesAreCutAtTheirWidth) {
  LineBuilder line(7, false);
  line.Add("ab");
  line.AddPadded("ä", 3);
  EXPECT_EQ(line.left(), 2);
  line.Add("öü?");
  line.Add("!");
  EXPECT_EQ(line.text(), "abä  öü");
  EXPECT_EQ(line.left(), 0);
  LineBuilder right(10, false);
  right.AddPadded("12", -5);
  EXPECT_EQ(right.text(), "   12");
}

TEST(Terminal, ColourOnlyWhereWanted) {
  EXPECT_EQ(Styled("x", Style::kGood, true), "\x1b[32mx\x1b[0m");
  EXPECT_EQ(Styled("x", Style::kGood, false), "x");
  EXPECT_EQ(Styled("", Style::kGood, true), "");
  LineBuilder line(2, true);
  line.Add("abc", Style::kDim);
  EXPECT_EQ(line.text(), "\x1b[2mab\x1b[0m");
}

TEST(Terminal, NamesCannotMoveTheCursor) {
  EXPECT_EQ(Printable("pi\x1b[2J\r\n\x7f"), "pi?[2J???");
  EXPECT_EQ(Printable("a\xC2\x9Bz"), "a??z");
  EXPECT_EQ(Printable("grün ✓"), "grün ✓");
}

}  // namespace
}  // namespace weft::app
