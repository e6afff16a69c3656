// Arbitrary text as a job: no crash, and what is accepted survives the way through JSON.

#include "base/bytes.h"
#include "base/check.h"
#include "base/doc.h"
#include "config/run_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = weft::base::AsText({data, size});
  for (const auto parse : {weft::base::ParseToml, weft::base::ParseJson}) {
    const auto doc = parse(text, "job");
    if (!doc.ok()) continue;
    const auto config = weft::config::FromDoc(*doc, {.file = "job", .folder = "/jobs"});
    if (!config.ok()) continue;
    const auto again = weft::config::FromJson(config->ToJson(), "run.json");
    CHECK(again.ok()) << again.status().ToString();
    CHECK(*again == *config) << config->ToJson();
  }
  return 0;
}
