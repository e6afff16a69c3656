// Any bytes as a WAV file; what is accepted must be samples of which features can be made.

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "data/mfcc.h"
#include "data/wav.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weft::data::MfccOptions options;
  options.clip_ms = 100;
  auto clip = weft::data::DecodeWav({data, size}, {.max_samples = options.clip_samples()}, "input");
  if (!clip.ok()) return 0;
  CHECK(!clip->empty() && std::ssize(*clip) <= options.clip_samples()) << clip->size();
  clip->resize(static_cast<size_t>(options.clip_samples()));
  auto mfcc = weft::data::Mfcc::Make(options);
  std::vector<float> features(static_cast<size_t>(options.frames() * options.values()));
  mfcc->Compute(*clip, features);
  for (const float feature : features) CHECK(std::isfinite(feature)) << feature;
  return 0;
}
