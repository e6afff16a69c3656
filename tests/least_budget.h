#pragma once
// The smallest memory budget for fused steps of a graph, as the refusal of an impossible one names
// it.

#include <memory>
#include <string>

#include "engine/engine.h"

namespace weft::tests {

// `options` apart from the budget are taken as they are.
inline size_t LeastBudget(std::shared_ptr<const model::Graph> graph, int64_t batch,
                          engine::EngineOptions options,
                          plan::Mode mode = plan::Mode::kTrainStreaming) {
  options.memory_budget = 1;
  const auto engine = engine::Engine::Create(std::move(graph), options);
  CHECK(engine.ok());
  const Status refused = (*engine)->Prepare(mode, batch);
  CHECK(refused.code() == Code::kInvalidArgument) << refused.ToString();
  const std::string message(refused.message());
  const auto at = message.find(" (", message.find("want at least"));
  CHECK(at != std::string::npos) << message;
  return std::stoull(message.substr(at + 2));
}

}  // namespace weft::tests
