// Arbitrary text as a scenario, without any other file: no crash, and what is accepted keeps the
// bounds that the simulator counts on.

#include "base/bytes.h"
#include "base/check.h"
#include "base/doc.h"
#include "base/file_system.h"
#include "config/scenario.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = weft::base::AsText({data, size});
  weft::base::DiskFaults faults{.fail_reads = true};
  const auto disk = MakeFaultyFileSystem(&weft::base::LocalFileSystem(), &faults);
  for (const auto parse : {weft::base::ParseToml, weft::base::ParseJson}) {
    const auto doc = parse(text, "scenario");
    if (!doc.ok()) continue;
    const auto scenario = weft::config::ScenarioFromDoc(
        *doc, {.file = "scenario", .folder = "/scenarios"}, {}, disk.get());
    if (!scenario.ok()) continue;
    CHECK(scenario->device_count() >= 1 && scenario->device_count() <= 100'000);
    CHECK(scenario->limit.count() > 0);
    for (const auto& group : scenario->groups) {
      CHECK(group.device.speed > 0 && group.device.load < 1) << group.name;
      CHECK(group.device.link.up_bps == 0 || group.device.link.up_bps >= 1) << group.name;
    }
  }
  return 0;
}
