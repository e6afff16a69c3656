#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>
#include <mutex>

namespace weft::base {
namespace {

struct Sinks {
  std::mutex mutex;
  std::shared_ptr<spdlog::logger> logger;
  std::function<void(LogLevel, std::string_view)> custom;
  LogLevel level = LogLevel::kInfo;
};

Sinks& GetSinks() {
  static Sinks* const sinks = [] {
    auto* made = new Sinks;
    const char* no_color = std::getenv("NO_COLOR");
    const auto mode = no_color != nullptr && no_color[0] != '\0' ? spdlog::color_mode::never
                                                                 : spdlog::color_mode::automatic;
    made->logger = spdlog::stderr_color_mt("weft", mode);
    made->logger->set_pattern("%^%l%$: %v");
    made->logger->set_level(spdlog::level::trace);
    return made;
  }();
  return *sinks;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void Log(LogLevel level, std::string_view message) {
  Sinks& sinks = GetSinks();
  const std::lock_guard lock(sinks.mutex);
  if (level < sinks.level) return;
  if (sinks.custom) {
    sinks.custom(level, message);
  } else {
    sinks.logger->log(ToSpdlog(level), message);
    sinks.logger->flush();
  }
}

void SetLogLevel(LogLevel level) {
  Sinks& sinks = GetSinks();
  const std::lock_guard lock(sinks.mutex);
  sinks.level = level;
}

void SetLogSink(std::function<void(LogLevel, std::string_view)> sink) {
  Sinks& sinks = GetSinks();
  const std::lock_guard lock(sinks.mutex);
  sinks.custom = std::move(sink);
}

}  // namespace weft::base
