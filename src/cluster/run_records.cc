#include "cluster/run_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/planted.h"
#include "base/text.h"

namespace weft::cluster {
namespace {

constexpr char kTermKey[] = "term";
constexpr char kLedgerKey[] = "ledger";  // lines of "<step> <ledger>"

template <class T>
Status ParseNumber(const char* what, std::string_view text, T* value) {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, *value);
  if (error == std::errc() && at == end) return OkStatus();
  return base::DataLoss(fmt::format("{}: got \"{}\", want a number", what, text));
}

}  // namespace

Result<uint64_t> RunRecords::NextTerm() {
  ASSIGN_OR_RETURN(const auto text, store_->Get(kTermKey));
  uint64_t term = 0;
  if (text) RETURN_IF_ERROR(ParseNumber("term", *text, &term));
  if (term == 0 || !base::Planted("run_records.keeps_the_term")) ++term;
  RETURN_IF_ERROR(store_->Put({{kTermKey, std::to_string(term)}}));
  return term;
}

Result<std::optional<std::string>> RunRecords::LoadLedger(int64_t step) {
  ledgers_.clear();
  ASSIGN_OR_RETURN(const auto text, store_->Get(kLedgerKey));
  for (const std::string& line : base::Split(text.value_or(""), '\n')) {
    if (line.empty()) continue;
    const size_t space = std::min(line.find(' '), line.size() - 1);
    int64_t of = 0;
    RETURN_IF_ERROR(ParseNumber("ledger record", std::string_view(line).substr(0, space), &of));
    if (of <= step) ledgers_[of] = line.substr(space + 1);
  }
  const auto found = ledgers_.find(step);
  return found == ledgers_.end() ? std::optional<std::string>() : found->second;
}

Status RunRecords::SaveLedger(int64_t step, const std::string& text, int64_t oldest_needed) {
  ledgers_[step] = text;
  ledgers_.erase(ledgers_.begin(), ledgers_.lower_bound(oldest_needed));
  std::string all;
  for (const auto& [of, record] : ledgers_) all += fmt::format("{} {}\n", of, record);
  return store_->Put({{kLedgerKey, all}});
}

}  // namespace weft::cluster
