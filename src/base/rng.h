#pragma once
// Random numbers: the only source in the program. Everything is a pure function of a seed, so a run
// can be replayed.

#include <cstdint>

namespace weft::base {

// Finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection of 64-bit words that scatters
// every bit.
constexpr uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

// Counter-based generator: word i of a stream, random access. SplitMix(s, i) starts from (s << 32)
// + i.
constexpr uint64_t SplitMix(uint64_t stream, uint64_t i) {
  return Mix((stream << 32) + i + 0x9E3779B97F4A7C15ULL);
}

// In [0, 1), 53 bits.
constexpr double UnitUniform(uint64_t word) { return static_cast<double>(word >> 11) * 0x1.0p-53; }
constexpr double Uniform(uint64_t stream, uint64_t i) { return UnitUniform(SplitMix(stream, i)); }

// Derives an independent seed from a seed and a tag; chain it for several tags.
constexpr uint64_t DeriveSeed(uint64_t seed, uint64_t tag) {
  return Mix(Mix(seed + 0x9E3779B97F4A7C15ULL) ^
             (tag * 0xD1B54A32D192ED03ULL + 0x8CB92BA72F3D8DD7ULL));
}

// Sequential generator (splitmix64) for callers that draw one after another.
class Rng {
 public:
  explicit constexpr Rng(uint64_t seed) : state_(seed) {}

  constexpr uint64_t Next() { return Mix(state_ += 0x9E3779B97F4A7C15ULL); }
  constexpr double NextUniform() { return UnitUniform(Next()); }
  constexpr double NextUniform(double low, double high) {
    return low + (high - low) * NextUniform();
  }
  // In [0, n), unbiased enough for n far below 2^64 (Lemire's multiply-shift). n > 0.
  constexpr uint64_t NextBelow(uint64_t n) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * n) >> 64);
  }
  // Normal with mean 0 and standard deviation 1 (Box-Muller).
  double NextNormal();
  uint64_t state() const { return state_; }

 private:
  uint64_t state_;
};

// A seed from the operating system, for what must differ between processes (tokens, incarnations).
// Never for training.
uint64_t EntropySeed();

}  // namespace weft::base
