#pragma once
// Sounds made in memory, and WAV files of them; for tests.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <numbers>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace weft::data {

// amplitude * sin(2 pi hz t), `n` samples at `rate` a second.
inline std::vector<float> Tone(double hz, size_t n = 16000, double rate = 16000,
                               double amplitude = 0.5) {
  std::vector<float> samples(n);
  for (size_t i = 0; i < n; ++i) {
    const double turns = hz * static_cast<double>(i) / rate;
    samples[i] = static_cast<float>(amplitude * std::sin(2 * std::numbers::pi * turns));
  }
  return samples;
}

struct TestWav {
  uint32_t rate = 16000;
  uint16_t channels = 1;
  uint16_t format = 1;  // 1: PCM, 3: float
  uint16_t bits = 16;
};

// A WAV file with the sample bytes as given.
inline Bytes WavBytes(const TestWav& wav, const Bytes& samples) {
  Bytes file;
  const auto text = [&](const char* four) { file.insert(file.end(), four, four + 4); };
  const auto put = [&](uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) file.push_back(static_cast<uint8_t>(value >> (8 * i)));
  };
  const uint32_t frame = wav.channels * wav.bits / 8u;
  text("RIFF");
  put(static_cast<uint32_t>(36 + samples.size()), 4);
  text("WAVE");
  text("fmt ");
  put(16, 4);
  put(wav.format, 2);
  put(wav.channels, 2);
  put(wav.rate, 4);
  put(wav.rate * frame, 4);
  put(frame, 2);
  put(wav.bits, 2);
  text("data");
  put(static_cast<uint32_t>(samples.size()), 4);
  file.insert(file.end(), samples.begin(), samples.end());
  return file;
}

// -1..1 as 16-bit PCM.
inline Bytes PcmBytes(const std::vector<float>& samples) {
  Bytes bytes;
  for (const float sample : samples) {
    const auto value = static_cast<int16_t>(std::lround(sample * 32767));
    bytes.push_back(static_cast<uint8_t>(value));
    bytes.push_back(static_cast<uint8_t>(value >> 8));
  }
  return bytes;
}

inline Bytes FloatBytes(const std::vector<float>& samples) {
  Bytes bytes(samples.size() * sizeof(float));
  std::memcpy(bytes.data(), samples.data(), bytes.size());
  return bytes;
}

}  // namespace weft::data
