#include "codec/codec.h"

#include <fmt/format.h>

#include "base/text.h"
#include "codec/dense.h"
#include "codec/fp16.h"
#include "codec/update_codec.h"

namespace weft::codec {

Status Codec::Add(const Place& place, ByteView packet, float weight, std::span<float> sum) const {
  std::vector<float> values(sum.size());
  RETURN_IF_ERROR(Decode(place, packet, values));
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += weight * values[i];
  return OkStatus();
}

bool Selects(const CodecOptions& options) {
  const std::string& name = options.name;
  return name == "auto" || ((name == "chunk-topk" || name == "dgc") && options.density != 1);
}

std::vector<std::string> CodecNames() {
  return {"dense", "fp16", "int8", "3lc", "chunk-topk", "dgc", "powersgd", "auto"};
}

bool SendsDifferences(const CodecOptions& options) {
  if (options.name == "dense" || options.name == "fp16") return false;
  const bool sends_all = options.density == 1 && options.values == "fp32";
  return !sends_all || options.name == "auto";
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
