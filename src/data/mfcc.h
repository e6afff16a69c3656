#pragma once
// Features of a sound clip: log-mel energies, or the MFCC made of them, a row a frame.
// Source: Davis and Mermelstein 1980, "Comparison of parametric representations for monosyllabic
// word recognition"; the mel scale is O'Shaughnessy's, 2595 log10(1 + f / 700), with triangles that
// are straight in mel as in the HTK Book, section 5.4. Default numbers: Zhang et al. 2017, "Hello
// Edge", section 3.

#include <kissfft/kiss_fftr.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"

namespace weft::data {

struct MfccOptions {
  int64_t rate = 16000;  // samples a second
  int64_t clip_ms = 1000;
  int64_t window_ms = 40;
  int64_t stride_ms = 20;
  int64_t mels = 40;  // bands between low_hz and high_hz
  double low_hz = 20;
  double high_hz = 4000;
  int64_t coefficients = 10;  // 0: the log-mel energies themselves

  // Milliseconds become samples by rounding down.
  int64_t clip_samples() const { return rate * clip_ms / 1000; }
  int64_t window_samples() const { return rate * window_ms / 1000; }
  int64_t stride_samples() const { return rate * stride_ms / 1000; }
  int64_t frames() const { return 1 + (clip_samples() - window_samples()) / stride_samples(); }
  int64_t values() const { return coefficients > 0 ? coefficients : mels; }  // a frame
  // Of the transform: the least power of two that holds a window; the rest is zero.
  int64_t fft_samples() const;
};
// Errors: kInvalidArgument naming the option: numbers that do not fit each other, or bands so
// narrow that no frequency of the transform lies in one.
Status CheckMfccOptions(const MfccOptions& options);

// Below this an energy counts as this, before the logarithm. Sounds are in -1..1, so it lies a
// little above the rounding noise of 16 bits.
inline constexpr double kEnergyFloor = 1e-6;

double MelOfHz(double hz);
double HzOfMel(double mel);

// The periodic Hann window, 0.5 - 0.5 cos(2 pi i / n).
std::vector<double> HannWindow(int64_t n);

// One band: weights of the power spectrum from bin `first` on, none zero; bin k stands for
// k * rate / fft_samples Hz.
struct MelBand {
  size_t first = 0;
  std::vector<float> weights;
};
// Triangles over mels + 2 points, evenly spaced in mel from low_hz to high_hz: each rises from 0 at
// its left neighbour's centre to 1 at its own and falls to 0 at the right one's.
std::vector<MelBand> MelBands(const MfccOptions& options);

// The first `rows` rows of the orthonormal DCT-II of n values, (rows, n).
std::vector<float> DctRows(int64_t rows, int64_t n);

// Threads: one.
class Mfcc {
 public:
  // Errors: those of CheckMfccOptions.
  static Result<Mfcc> Make(const MfccOptions& options);

  const MfccOptions& options() const { return options_; }

  //   clip      [clip_samples] f32  read, -1..1
  //   features  [frames, values] f32  written
  void Compute(std::span<const float> clip, std::span<float> features);

 private:
  explicit Mfcc(const MfccOptions& options);
  void LogMel(std::span<const float> frame);

  struct FreeFft {
    void operator()(kiss_fftr_cfg fft) const { kiss_fftr_free(fft); }
  };

  MfccOptions options_;
  std::unique_ptr<kiss_fftr_state, FreeFft> fft_;
  std::vector<float> window_;  // (window_samples)
  std::vector<MelBand> bands_;
  std::vector<float> dct_;              // (coefficients, mels)
  std::vector<float> frame_;            // (fft_samples), windowed
  std::vector<kiss_fft_cpx> spectrum_;  // (fft_samples / 2 + 1)
  std::vector<float> power_;            // likewise
  std::vector<float> log_mel_;          // (mels)
};

}  // namespace weft::data
