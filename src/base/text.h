#pragma once
// Small text questions shared by everything that talks to people.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace weft::base {

// The candidate nearest to `word` by edit distance (two neighbours swapped are one edit), if near
// enough to be a likely typo: at most a third of the longer one's length, at least one edit
// allowed.
std::optional<std::string> DidYouMean(std::string_view word,
                                      std::span<const std::string> candidates);

// "a, b or c"
std::string JoinChoices(std::span<const std::string> choices);

std::vector<std::string> Split(std::string_view text, char separator);

// "512 B", "1.5 KiB", "38 MiB"
std::string HumanBytes(double bytes);
// The other way: "200 MiB", "1.5GiB", "300 kB", "4096". Errors: kInvalidArgument for anything else,
// and for 2^53 bytes or more.
Result<int64_t> ParseBytes(std::string_view text);
// "8.2 s", "3 m 20 s", "2 h 05 m"
std::string HumanDuration(double seconds);
// Lengths of time for files: "90s", "1.5 h", "1h30m", "5ms"; units d, h, m, s, ms, us, ns. Errors:
// kInvalidArgument for anything else, and for more than 1e9 s (31 years).
Result<Duration> ParseDuration(std::string_view text);
// Bits a second of a link: "10Mbit/s", "1 Gbit/s", "64kbit/s", and in bytes "2MB/s". Errors:
// kInvalidArgument for anything else, and for 1e15 bit/s or more.
Result<double> ParseRate(std::string_view text);
// "640 bit/s", "9.6 kbit/s", "100 Mbit/s"
std::string HumanRate(double bits_per_second);

}  // namespace weft::base
