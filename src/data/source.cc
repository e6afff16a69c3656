#include "data/source.h"

#include <fmt/format.h>

#include "base/text.h"

namespace weft::data {

Result<Source> ParseSource(const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos || colon == 0) {
    return base::InvalidArgument(fmt::format(
        "data source: got \"{}\", want KIND:PLACE, e.g. idx:DIR or synthetic:shapes", text));
  }
  Source source;
  source.text = text;
  source.kind = text.substr(0, colon);
  source.params.kind = base::Doc::Kind::kTable;
  const size_t question = text.rfind('?');
  const bool has_params = question != std::string::npos && question > colon;
  source.place = text.substr(colon + 1, has_params ? question - colon - 1 : std::string::npos);
  if (source.place.empty()) {
    return base::InvalidArgument(
        fmt::format("{}: got nothing after \"{}:\", want a place", text, source.kind));
  }
  if (!has_params || question + 1 == text.size()) return source;
  for (const std::string& param : base::Split(std::string_view(text).substr(question + 1), '&')) {
    const size_t equals = param.find('=');
    if (equals == std::string::npos || equals == 0) {
      return base::InvalidArgument(
          fmt::format("{}: parameter: got \"{}\", want key=value", text, param));
    }
    RETURN_IF_ERROR(base::ApplyOverride(param, &source.params, 0));
  }
  return source;
}

}  // namespace weft::data
