#pragma once
// DecodeWav: the sound in a WAV file, by libsndfile.
// Source: IBM and Microsoft 1991, "Multimedia Programming Interface and Data Specifications 1.0",
// chapter 3 (RIFF WAVE).

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"

namespace weft::data {

struct WavOptions {
  int64_t rate = 16000;         // samples a second that the file must have
  int64_t max_samples = 16000;  // what comes after them is not read
};

// The samples, -1..1 (those of a float file as they are); channels are averaged.
// Errors: kDataLoss naming `name`: no RIFF WAVE, truncated, an encoding other than 16-bit PCM and
// 32-bit float, another rate, no samples, a sample that is no number or beyond +-1e6.
Result<std::vector<float>> DecodeWav(ByteView file, const WavOptions& options,
                                     const std::string& name);

}  // namespace weft::data
