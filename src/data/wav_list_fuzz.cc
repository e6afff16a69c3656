// Any text as a list of clips; what is accepted names plain files of plain folders, each once.

#include <cstdint>
#include <set>
#include <string_view>

#include "base/check.h"
#include "data/wav_list.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto names = weft::data::ParseWavList(text, "input");
  if (!names.ok()) return 0;
  std::set<weft::data::WavName> seen;
  for (const auto& name : *names) {
    for (const std::string_view part : {name.folder, name.file}) {
      CHECK(!part.empty() && part != ".." && part.find('/') == part.npos) << part;
    }
    CHECK(seen.insert(name).second) << name.file;
    weft::data::PartOfSpeaker(name.file);
  }
  return 0;
}
