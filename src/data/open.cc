#include <fmt/format.h>

#include "base/text.h"
#include "data/cifar.h"
#include "data/dataset.h"
#include "data/idx.h"
#include "data/source.h"
#include "data/synthetic.h"
#include "data/wav_folder.h"

namespace weft::data {
namespace {

struct Kind {
  const char* name;
  Result<std::unique_ptr<Dataset>> (*open)(const Source& source, bool train);
};
constexpr Kind kKinds[] = {
    {"idx", OpenIdx}, {"cifar10", OpenCifar},       {"cifar100", OpenCifar},
    {"wav", OpenWav}, {"synthetic", OpenSynthetic},
};

}  // namespace

Result<std::unique_ptr<Dataset>> OpenDataset(const OpenOptions& options) {
  ASSIGN_OR_RETURN(const Source source, ParseSource(options.source));
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) {
    if (source.kind == kind.name) return kind.open(source, options.train);
    names.emplace_back(kind.name);
  }
  const auto nearest = base::DidYouMean(source.kind, names);
  return base::InvalidArgument(fmt::format(
      "data source \"{}\": kind: got \"{}\", want {}{}", source.text, source.kind,
      base::JoinChoices(names), nearest ? fmt::format(" (did you mean \"{}\"?)", *nearest) : ""));
}

}  // namespace weft::data
