// ScenarioReference: the page docs/scenario.md.

#include <fmt/format.h>

#include "config/reference_page.h"
#include "config/scenario_options.h"

namespace weft::config {
namespace {

// "150 us", "1 d", "90 s": the largest unit that needs no fraction.
std::string DurationText(Duration duration) {
  if (duration == Duration{}) return "0s";
  static constexpr std::pair<int64_t, const char*> kUnits[] = {
      {86400'000'000'000, "d"}, {3600'000'000'000, "h"}, {60'000'000'000, "m"},
      {1'000'000'000, "s"},     {1'000'000, "ms"},       {1000, "us"}};
  for (const auto& [ns, unit] : kUnits) {
    if (duration.count() >= ns && duration.count() % ns == 0) {
      return fmt::format("{}{}", duration.count() / ns, unit);
    }
  }
  return fmt::format("{}ns", duration.count());
}

class ScenarioPage : public ReferencePage<ScenarioVisitor> {
 public:
  using ReferencePage::Visit;
  void Visit(const Option& option, Duration* value) override {
    Row(option, "time", fmt::format("`\"{}\"`", DurationText(*value)));
  }
  void Visit(const Option& option, std::optional<Duration>*) override {
    Row(option, "time", option.default_text.empty() ? "never" : "none");
  }
  void Visit(const Option& option, std::optional<double>*) override {
    Row(option, "number", "none");
  }
  void Visit(const Option& option, sim::SlowdownOptions*) override {
    Row(option, "a table", "never");
  }
  void VisitRate(const Option& option, double*) override { Row(option, "rate", "no limit"); }
};

constexpr std::string_view kIntroduction =
    "# A scenario file\n\n"
    "A scenario is a cluster and what befalls it: devices, links, faults, the job, and what must\n"
    "hold at the end. `weft sim FILE` runs it in virtual time, where everything is decided by the\n"
    "seed. It is TOML, or JSON of the same shape. An unknown key is an error. On the command line\n"
    "`--set table.key=value` overrides a key, as `--set scenario.seed=3`,\n"
    "`--set device.pi.count=100` or `--set job.epochs=2`. Relative paths start at the file's\n"
    "folder.\n\n"
    "A time is text with its unit: `\"90s\"`, `\"1h30m\"`, `\"5ms\"`. A rate is text in bits or "
    "bytes a\nsecond: `\"10Mbit/s\"`, `\"2MB/s\"`.\n\n"
    "The job's own tables (`[job]`, `[model]`, `[data]`, `[optimizer]`, `[cluster]`, `[link]`,\n"
    "`[cut]`) stand in the same file as [job.md](job.md) has them, unless `scenario.job` names a\n"
    "job file.\n\n"
    "This page is written by the program from the options it reads; a test compares the two.\n";

}  // namespace

std::string ScenarioReference() {
  ScenarioPage page;
  Scenario scenario;
  page.Head("[scenario]", "What is run, and how.");
  VisitScenario(&scenario, &page);
  page.Head("[coordinator]", "The process that coordinates and leads, and its link.");
  VisitCoordinator(&scenario.coordinator, &page);
  page.Head("[device.NAME]", "Devices, their speed, when they are on, and their link.");
  DeviceGroup group;
  VisitDevice(&group, &page);
  page.Head("[segment.NAME]",
            "A medium that several devices share, such as the uplink of a site; `up` is away from "
            "the devices.");
  sim::SegmentOptions segment;
  VisitSegment(&segment, &page);
  page.Head("[faults]",
            "What goes wrong by chance. A time is the mean wait for the next such fault in the "
            "whole cluster.");
  VisitFaults(&scenario.faults, &page);
  page.Head("[[event]]", "What happens at a set time; any number of these tables.");
  sim::ScheduledEvent event;
  std::string kind;
  VisitEvent(&event, &kind, &page);
  page.Head("[expect]", "What must hold at the end; otherwise `weft sim` exits with 1.");
  VisitExpectations(&scenario.expect, &page);
  return std::string(kIntroduction) + page.text();
}

}  // namespace weft::config
