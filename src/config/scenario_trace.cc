#include "config/scenario_trace.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/text.h"

namespace weft::config {
namespace {

constexpr double kMostSeconds = 1e9;

std::optional<Duration> ParseSeconds(std::string_view text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!(seconds >= 0 && seconds <= kMostSeconds)) return std::nullopt;
  return Duration(static_cast<int64_t>(std::round(seconds * 1e9)));
}

}  // namespace

Result<std::map<std::string, Stretches, std::less<>>> ParseTrace(std::string_view text,
                                                                 const std::string& file) {
  std::map<std::string, Stretches, std::less<>> traces;
  int64_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#') || line == "device,from_s,until_s") continue;
    const auto fail = [&](const std::string& problem) {
      return base::InvalidArgument(fmt::format("{}:{}: {}", file, number, problem));
    };
    const std::vector<std::string> fields = base::Split(line, ',');
    const auto from = fields.size() == 3 ? ParseSeconds(fields[1]) : std::nullopt;
    const auto until = fields.size() == 3 ? ParseSeconds(fields[2]) : std::nullopt;
    if (!from || !until || fields[0].empty() || *from >= *until) {
      return fail(fmt::format("got \"{}\", want device,from_s,until_s, the last one later", line));
    }
    Stretches& stretches = traces[fields[0]];
    if (!stretches.empty() && stretches.back().second > *from) {
      return fail(fmt::format("{}: got a start at {} s, want it after the end before, {} s",
                              fields[0], base::Seconds(*from),
                              base::Seconds(stretches.back().second)));
    }
    stretches.emplace_back(*from, *until);
  }
  return traces;
}

}  // namespace weft::config
