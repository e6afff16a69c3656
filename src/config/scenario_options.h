#pragma once
// Every key of a scenario, written once: each Visit function walks one table in order, and reading
// and the reference page are visitors. Inside this room only.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/options.h"
#include "config/scenario.h"

namespace weft::config {

class ScenarioVisitor {
 public:
  virtual ~ScenarioVisitor() = default;

  virtual void Visit(const Option& option, bool* value) = 0;
  virtual void Visit(const Option& option, int64_t* value) = 0;
  virtual void Visit(const Option& option, double* value) = 0;
  virtual void Visit(const Option& option, std::string* value) = 0;
  virtual void Visit(const Option& option, ByteCount* value) = 0;
  virtual void Visit(const Option& option, Duration* value) = 0;
  virtual void Visit(const Option& option, std::optional<Duration>* value) = 0;
  virtual void Visit(const Option& option, std::optional<double>* value) = 0;
  virtual void Visit(const Option& option, sim::SlowdownOptions* value) = 0;
  // Bits a second.
  virtual void VisitRate(const Option& option, double* value) = 0;
};

void VisitScenario(Scenario* scenario, ScenarioVisitor* visitor);
void VisitCoordinator(CoordinatorOptions* coordinator, ScenarioVisitor* visitor);
void VisitDevice(DeviceGroup* group, ScenarioVisitor* visitor);
void VisitSegment(sim::SegmentOptions* segment, ScenarioVisitor* visitor);
void VisitFaults(sim::FaultOptions* faults, ScenarioVisitor* visitor);
// `kind` is one of EventKinds().
void VisitEvent(sim::ScheduledEvent* event, std::string* kind, ScenarioVisitor* visitor);
void VisitExpectations(Expectations* expect, ScenarioVisitor* visitor);

// Beginning of DeviceGroup::availability that a path follows.
inline constexpr std::string_view kTracePrefix = "trace:";

}  // namespace weft::config
