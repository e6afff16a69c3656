#include "codec/codec.h"

#include <fmt/format.h>

#include "base/text.h"
#include "codec/dense.h"
#include "codec/fp16.h"
#include "codec/update_codec.h"

namespace weft::codec {

bool Selects(const CodecOptions& options) {
  return (options.name == "chunk-topk" || options.name == "dgc") && options.density != 1;
}

std::vector<std::string> CodecNames() {
  return {"dense", "fp16", "int8", "3lc", "chunk-topk", "dgc", "powersgd", "auto"};
}

Result<std::unique_ptr<Codec>> MakeCodec(const CodecOptions& options) {
  const std::string& name = options.name;
  if (name == "dense") return MakeDense();
  if (name == "fp16") return MakeFp16();
  if (IsUpdateCodec(name)) return MakeUpdateCodec(options);
  const std::vector<std::string> names = CodecNames();
  const auto near = base::DidYouMean(name, names);
  return base::InvalidArgument(fmt::format("codec: got \"{}\", want {}{}", name,
                                           base::JoinChoices(names),
                                           near ? "; did you mean \"" + *near + "\"?" : ""));
}

}  // namespace weft::codec
