#include "data/mfcc.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"

namespace weft::data {

int64_t MfccOptions::fft_samples() const {
  int64_t samples = 2;
  while (samples < window_samples()) samples *= 2;
  return samples;
}

double MelOfHz(double hz) { return 2595 * std::log10(1 + hz / 700); }
double HzOfMel(double mel) { return 700 * (std::pow(10, mel / 2595) - 1); }

std::vector<double> HannWindow(int64_t n) {
  std::vector<double> window;
  for (int64_t i = 0; i < n; ++i) {
    const double turn = static_cast<double>(i) / static_cast<double>(n);
    window.push_back(0.5 - 0.5 * std::cos(2 * std::numbers::pi * turn));
  }
  return window;
}

std::vector<MelBand> MelBands(const MfccOptions& options) {
  const double low = MelOfHz(options.low_hz);
  const double step = (MelOfHz(options.high_hz) - low) / static_cast<double>(options.mels + 1);
  const int64_t n = options.fft_samples();
  const double hz_a_bin = static_cast<double>(options.rate) / static_cast<double>(n);
  std::vector<MelBand> bands(static_cast<size_t>(options.mels));
  for (size_t band = 0; band < bands.size(); ++band) {
    for (int64_t bin = 0; bin <= n / 2; ++bin) {
      // In steps from the band's left foot: the centre is at 1, the right foot at 2.
      const double at =
          (MelOfHz(static_cast<double>(bin) * hz_a_bin) - low) / step - static_cast<double>(band);
      const double weight = 1 - std::abs(at - 1);
      if (weight <= 0) continue;
      if (bands[band].weights.empty()) bands[band].first = static_cast<size_t>(bin);
      bands[band].weights.push_back(static_cast<float>(weight));
    }
  }
  return bands;
}

std::vector<float> DctRows(int64_t rows, int64_t n) {
  std::vector<float> dct;
  const auto count = static_cast<double>(n);
  for (int64_t k = 0; k < rows; ++k) {
    const double scale = std::sqrt((k == 0 ? 1 : 2) / count);
    for (int64_t i = 0; i < n; ++i) {
      const double angle =
          std::numbers::pi * static_cast<double>(k) * (static_cast<double>(i) + 0.5) / count;
      dct.push_back(static_cast<float>(scale * std::cos(angle)));
    }
  }
  return dct;
}

Status CheckMfccOptions(const MfccOptions& options) {
  const auto wrong = [](const char* option, auto got, const std::string& want) {
    return base::InvalidArgument(fmt::format("{}: got {}, want {}", option, got, want));
  };
  if (options.window_samples() < 2) {
    return wrong("window_ms", options.window_ms, "at least two samples in a window");
  }
  if (options.window_ms > options.clip_ms) {
    return wrong("window_ms", options.window_ms,
                 fmt::format("at most the {} of clip_ms", options.clip_ms));
  }
  if (options.stride_samples() < 1) {
    return wrong("stride_ms", options.stride_ms, "at least one sample");
  }
  if (options.high_hz > static_cast<double>(options.rate) / 2) {
    return wrong("high_hz", options.high_hz,
                 fmt::format("at most half the rate of {}", options.rate));
  }
  if (!(options.low_hz >= 0 && options.low_hz < options.high_hz)) {
    return wrong("low_hz", options.low_hz,
                 fmt::format("0 or more and below the {} of high_hz", options.high_hz));
  }
  if (options.coefficients > options.mels) {
    return wrong("coefficients", options.coefficients,
                 fmt::format("at most the {} of mels", options.mels));
  }
  const std::vector<MelBand> bands = MelBands(options);
  for (size_t band = 0; band < bands.size(); ++band) {
    if (!bands[band].weights.empty()) continue;
    return wrong("mels", options.mels,
                 fmt::format("fewer bands or a longer window: no frequency of a window of {} ms "
                             "lies in band {}",
                             options.window_ms, band));
  }
  return OkStatus();
}

Result<Mfcc> Mfcc::Make(const MfccOptions& options) {
  RETURN_IF_ERROR(CheckMfccOptions(options));
  return Mfcc(options);
}

Mfcc::Mfcc(const MfccOptions& options)
    : options_(options),
      fft_(kiss_fftr_alloc(static_cast<int>(options.fft_samples()), 0, nullptr, nullptr)),
      bands_(MelBands(options)),
      dct_(DctRows(options.coefficients, options.mels)),
      frame_(static_cast<size_t>(options.fft_samples())),
      spectrum_(frame_.size() / 2 + 1),
      power_(spectrum_.size()),
      log_mel_(bands_.size()) {
  CHECK(fft_ != nullptr) << "no transform of " << frame_.size() << " samples";
  const std::vector<double> window = HannWindow(options.window_samples());
  window_.assign(window.begin(), window.end());
}

// frame: [window_samples] f32 -> log_mel_
void Mfcc::LogMel(std::span<const float> frame) {
  for (size_t i = 0; i < window_.size(); ++i) frame_[i] = window_[i] * frame[i];
  kiss_fftr(fft_.get(), frame_.data(), spectrum_.data());
  for (size_t bin = 0; bin < power_.size(); ++bin) {
    const kiss_fft_cpx value = spectrum_[bin];
    power_[bin] = value.r * value.r + value.i * value.i;
  }
  for (size_t band = 0; band < bands_.size(); ++band) {
    float energy = 0;
    const float* power = power_.data() + bands_[band].first;
    for (const float weight : bands_[band].weights) energy += weight * *power++;
    log_mel_[band] = std::log(std::max(energy, static_cast<float>(kEnergyFloor)));
  }
}

void Mfcc::Compute(std::span<const float> clip, std::span<float> features) {
  const int64_t frames = options_.frames();
  CHECK_EQ(static_cast<int64_t>(clip.size()), options_.clip_samples());
  CHECK_EQ(static_cast<int64_t>(features.size()), frames * options_.values());
  float* row = features.data();
  for (int64_t frame = 0; frame < frames; ++frame, row += options_.values()) {
    LogMel(clip.subspan(static_cast<size_t>(frame * options_.stride_samples()), window_.size()));
    if (options_.coefficients == 0) {
      std::copy(log_mel_.begin(), log_mel_.end(), row);
      continue;
    }
    const float* weights = dct_.data();
    for (int64_t k = 0; k < options_.coefficients; ++k, weights += log_mel_.size()) {
      float sum = 0;
      for (size_t i = 0; i < log_mel_.size(); ++i) sum += weights[i] * log_mel_[i];
      row[k] = sum;
    }
  }
}

}  // namespace weft::data
