#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace weft::base {
namespace {

// Edits that make `a` into `b`: insertions, deletions, substitutions and swaps of two neighbours.
// Capitals, and '-' for '_', cost nothing.
// Source: the restricted ("optimal string alignment") form of Damerau's distance.
size_t EditDistance(std::string_view a, std::string_view b) {
  const auto same = [](char x, char y) {
    const auto fold = [](char c) {
      if (c == '-') return '_';
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return fold(x) == fold(y);
  };
  // Rows i - 2, i - 1 and i of the table of distances between beginnings of `a` and of `b`.
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    before.swap(above);
    above.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitute = above[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, substitute});
      const bool swapped = i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

struct Unit {
  std::string_view name;
  double factor = 1;
};

// A number at the beginning of `text`, not negative, and the unit behind it; both are removed.
// Nothing if there is no such thing.
std::optional<double> TakeQuantity(std::span<const Unit> units, std::string_view* text) {
  double number = 0;
  const char* const last = text->data() + text->size();
  const auto [end, error] = std::from_chars(text->data(), last, number);
  if (error != std::errc() || !(number >= 0)) return std::nullopt;
  std::string_view rest(end, static_cast<size_t>(last - end));
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  const Unit* found = nullptr;
  for (const Unit& unit : units) {  // the longest that fits: "ms" is no "m"
    if (rest.starts_with(unit.name) && (!found || unit.name.size() > found->name.size())) {
      found = &unit;
    }
  }
  if (found == nullptr) return std::nullopt;
  rest.remove_prefix(found->name.size());
  *text = rest;
  return number * found->factor;
}

}  // namespace

std::optional<std::string> DidYouMean(std::string_view word,
                                      std::span<const std::string> candidates) {
  std::optional<std::string> best;
  size_t best_distance = SIZE_MAX;
  for (const std::string& candidate : candidates) {
    const size_t likely = std::max<size_t>(1, std::max(word.size(), candidate.size()) / 3);
    const size_t distance = EditDistance(word, candidate);
    if (distance > likely || distance >= best_distance) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

std::string JoinChoices(std::span<const std::string> choices) {
  std::string text;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) text += i + 1 == choices.size() ? " or " : ", ";
    text += choices[i];
  }
  return text;
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t at = 0; at <= text.size(); ++at) {
    if (at < text.size() && text[at] != separator) continue;
    parts.emplace_back(text.substr(begin, at - begin));
    begin = at + 1;
  }
  return parts;
}

std::string HumanBytes(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  const int digits = unit == 0 || bytes >= 10 ? 0 : 1;
  return fmt::format("{:.{}f} {}", bytes, digits, kUnits[unit]);
}

Result<int64_t> ParseBytes(std::string_view text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1},      {"B", 1},        {"kB", 1e3},     {"MB", 1e6},     {"GB", 1e9},
      {"TB", 1e12}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  for (const auto& [name, factor] : kUnits) {
    const double bytes = number * factor;
    if (error == std::errc() && unit == name && bytes >= 0 && bytes < 0x1p53) {
      return static_cast<int64_t>(bytes);
    }
  }
  return InvalidArgument(
      fmt::format("got \"{}\", want bytes such as \"200 MiB\", \"1.5 GB\" or 4096", text));
}

std::string HumanDuration(double seconds) {
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 3600) return fmt::format("{} m {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} m", whole / 3600, whole % 3600 / 60);
}

Result<Duration> ParseDuration(std::string_view text) {
  static constexpr Unit kUnits[] = {{"d", 86400}, {"h", 3600},  {"m", 60},   {"s", 1},
                                    {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}};
  std::string_view rest = text;
  double seconds = 0;
  do {
    const std::optional<double> part = TakeQuantity(kUnits, &rest);
    if (!part || seconds + *part > 1e9) {
      return InvalidArgument(fmt::format(
          "got \"{}\", want a length of time such as \"90s\", \"1h30m\" or \"5ms\"", text));
    }
    seconds += *part;
    while (rest.starts_with(' ')) rest.remove_prefix(1);
  } while (!rest.empty());
  return Duration(static_cast<int64_t>(std::round(seconds * 1e9)));
}

Result<double> ParseRate(std::string_view text) {
  static constexpr Unit kUnits[] = {{"bit/s", 1}, {"kbit/s", 1e3}, {"Mbit/s", 1e6}, {"Gbit/s", 1e9},
                                    {"B/s", 8},   {"kB/s", 8e3},   {"MB/s", 8e6},   {"GB/s", 8e9}};
  std::string_view rest = text;
  const std::optional<double> rate = TakeQuantity(kUnits, &rest);
  if (rate && rest.empty() && *rate < 1e15) return *rate;
  return InvalidArgument(
      fmt::format("got \"{}\", want a rate such as \"10Mbit/s\", \"1Gbit/s\" or \"2MB/s\"", text));
}

std::string HumanRate(double bits_per_second) {
  static constexpr const char* kUnits[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"};
  size_t unit = 0;
  while (bits_per_second >= 1000 && unit + 1 < std::size(kUnits)) {
    bits_per_second /= 1000;
    ++unit;
  }
  return fmt::format("{:.3g} {}", bits_per_second, kUnits[unit]);
}

}  // namespace weft::base
