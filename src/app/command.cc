#include "app/command.h"

#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"

namespace weft::app {

int ExitCodeOf(const Status& status) {
  switch (status.code()) {
    case Code::kOk:
      return kExitOk;
    case Code::kInvalidArgument:
    case Code::kUnimplemented:
    case Code::kUnauthenticated:
      return kExitBadConfig;
    case Code::kDataLoss:
    case Code::kOutOfRange:
      return kExitBadData;
    case Code::kNotFound:
      return kExitNoInput;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
      return kExitUnavailable;
    case Code::kAborted:
      return kExitTryAgain;
    case Code::kResourceExhausted:
    case Code::kPermissionDenied:
    case Code::kAlreadyExists:
      return kExitCannotCreate;
    case Code::kInternal:
      return kExitInternal;
    case Code::kCancelled:
      return kExitInterrupted;
    case Code::kUnknown:
    case Code::kFailedPrecondition:
      return kExitFailure;
  }
  return kExitFailure;
}

void PrintJsonLine(const nlohmann::ordered_json& object) {
  static std::mutex* const mutex = new std::mutex;
  // A name or path that is not UTF-8 is shown with replacement characters, not an exception.
  const std::string line =
      object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  const std::lock_guard lock(*mutex);
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

int ReadBudget(const std::string& text, int64_t* bytes) {
  if (text.empty()) return kExitOk;
  const Result<int64_t> read = base::ParseBytes(text);
  if (!read.ok()) {
    base::LogError("--memory-budget: {}", read.status().message());
    return kExitUsage;
  }
  *bytes = *read;
  return kExitOk;
}

}  // namespace weft::app
