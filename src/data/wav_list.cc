#include "data/wav_list.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <cstdint>
#include <set>

#include "base/text.h"

namespace weft::data {
namespace {

bool GoodPart(std::string_view part) { return !part.empty() && part != "." && part != ".."; }

// Empty text where the line is good.
std::string WrongInLine(const std::string& line) {
  const size_t slash = line.find('/');
  const bool good = line.find('\0') == std::string::npos && slash != std::string::npos &&
                    line.find('/', slash + 1) == std::string::npos &&
                    GoodPart(std::string_view(line).substr(0, slash)) &&
                    GoodPart(std::string_view(line).substr(slash + 1)) && line.ends_with(".wav");
  return good ? "" : fmt::format("got \"{}\", want CLASS/FILE.wav", line);
}

}  // namespace

Result<std::vector<WavName>> ParseWavList(std::string_view text, const std::string& name) {
  std::vector<WavName> names;
  std::set<WavName> seen;
  int64_t number = 0;
  for (std::string line : base::Split(text, '\n')) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    if (const std::string wrong = WrongInLine(line); !wrong.empty()) {
      return base::DataLoss(fmt::format("{}:{}: {}", name, number, wrong));
    }
    const size_t slash = line.find('/');
    names.push_back({line.substr(0, slash), line.substr(slash + 1)});
    if (!seen.insert(names.back()).second) {
      return base::DataLoss(
          fmt::format("{}:{}: got {} a second time, want each once", name, number, line));
    }
  }
  return names;
}

WavPart PartOfSpeaker(std::string_view file) {
  const std::string_view speaker = file.substr(0, file.find("_nohash_"));
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(speaker.data()), speaker.size(), digest);
  constexpr uint32_t kLargest = (1u << 27) - 1;
  uint32_t low = 0;
  for (int i = SHA_DIGEST_LENGTH - 4; i < SHA_DIGEST_LENGTH; ++i) low = low << 8 | digest[i];
  const double share = static_cast<double>(low & kLargest) / kLargest;
  if (share < 0.1) return WavPart::kValidation;
  return share < 0.2 ? WavPart::kTest : WavPart::kTrain;
}

}  // namespace weft::data
