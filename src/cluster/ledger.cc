#include "cluster/ledger.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "base/text.h"

namespace weft::cluster {
namespace {

bool ParseNumber(std::string_view text, int64_t* value) {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, *value);
  return error == std::errc() && at == end && *value >= 0;
}

}  // namespace

void Ledger::Commit(std::span<const Lease> leases) {
  for (const Lease& lease : leases) {
    const int64_t overlap = covered_.Add(lease.begin, lease.begin + lease.count);
    epoch_duplicated_ += overlap;
    duplicated_ += overlap;
  }
}

Ledger::EpochCount Ledger::EndEpoch(int64_t absent) {
  const EpochCount count{samples_per_epoch_ - covered_.size() - absent, epoch_duplicated_};
  lost_ += count.lost;
  covered_.Clear();
  epoch_duplicated_ = 0;
  return count;
}

// "lost duplicated duplicated-in-epoch begin-end begin-end ..."
std::string Ledger::Save() const {
  std::string text = fmt::format("{} {} {}", lost_, duplicated_, epoch_duplicated_);
  for (const auto& [begin, end] : covered_.intervals()) text += fmt::format(" {}-{}", begin, end);
  return text;
}

Status Ledger::Load(const std::string& text) {
  const Status bad = base::DataLoss("ledger record: got \"" + text + "\"");
  const std::vector<std::string> words = base::Split(text, ' ');
  Ledger loaded(samples_per_epoch_);
  if (words.size() < 3 || !ParseNumber(words[0], &loaded.lost_) ||
      !ParseNumber(words[1], &loaded.duplicated_) ||
      !ParseNumber(words[2], &loaded.epoch_duplicated_)) {
    return bad;
  }
  for (size_t i = 3; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const size_t dash = word.find('-');
    int64_t begin = 0;
    int64_t end = 0;
    if (dash == word.npos || !ParseNumber(word.substr(0, dash), &begin) ||
        !ParseNumber(word.substr(dash + 1), &end) || begin >= end || end > samples_per_epoch_) {
      return bad;
    }
    loaded.covered_.Add(begin, end);
  }
  *this = loaded;
  return OkStatus();
}

void Ledger::AssumeCovered(int64_t positions) { covered_.Add(0, positions); }

}  // namespace weft::cluster
