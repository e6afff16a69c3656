#include "data/mfcc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <numeric>
#include <utility>

#include "data/test_sounds.h"

namespace weft::data {
namespace {

constexpr double kPi = std::numbers::pi;

std::vector<float> FeaturesOf(const MfccOptions& options, const std::vector<float>& clip) {
  Result<Mfcc> mfcc = Mfcc::Make(options);
  CHECK(mfcc.ok()) << mfcc.status().ToString();
  std::vector<float> features(static_cast<size_t>(options.frames() * options.values()));
  mfcc->Compute(clip, features);
  return features;
}

double CentreOf(const MfccOptions& options, int64_t band) {
  const double low = MelOfHz(options.low_hz);
  const double step = (MelOfHz(options.high_hz) - low) / static_cast<double>(options.mels + 1);
  return HzOfMel(low + step * static_cast<double>(band + 1));
}

// A chirp over a steady tone.
std::vector<float> Chirp(size_t n, double rate) {
  std::vector<float> clip(n);
  for (size_t i = 0; i < n; ++i) {
    const double t = static_cast<double>(i) / rate;
    clip[i] = static_cast<float>(0.5 * std::sin(2 * kPi * (200 * t + 900 * t * t)) +
                                 0.1 * std::sin(2 * kPi * 3000 * t));
  }
  return clip;
}

// |DFT|^2 of a windowed frame by the sum that defines it.
double PowerAt(std::span<const float> frame, int64_t bin, int64_t n) {
  std::complex<double> sum = 0;
  const auto size = static_cast<double>(frame.size());
  for (size_t i = 0; i < frame.size(); ++i) {
    const double window = 0.5 - 0.5 * std::cos(2 * kPi * static_cast<double>(i) / size);
    const auto turn = static_cast<double>((bin * static_cast<int64_t>(i)) % n);
    sum += window * frame[i] * std::polar(1.0, -2 * kPi * turn / static_cast<double>(n));
  }
  return std::norm(sum);
}

// One frame's features, in double precision, straight from the formulas.
std::vector<double> ReferenceFrame(const MfccOptions& options, std::span<const float> frame) {
  const int64_t n = options.fft_samples();
  const double low = MelOfHz(options.low_hz);
  const double step = (MelOfHz(options.high_hz) - low) / static_cast<double>(options.mels + 1);
  std::vector<double> energies(static_cast<size_t>(options.mels));
  for (int64_t bin = 0; bin <= n / 2; ++bin) {
    const double hz = static_cast<double>(bin * options.rate) / static_cast<double>(n);
    const double at = (2595 * std::log10(1 + hz / 700) - low) / step;
    if (at <= 0 || at >= static_cast<double>(options.mels + 1)) continue;
    const double power = PowerAt(frame, bin, n);
    for (size_t m = 0; m < energies.size(); ++m) {
      const double left = static_cast<double>(m);
      energies[m] += power * std::max(0.0, std::min(at - left, left + 2 - at));
    }
  }
  for (double& energy : energies) energy = std::log(std::max(energy, 1e-6));
  if (options.coefficients == 0) return energies;
  std::vector<double> cepstrum;
  const auto mels = static_cast<double>(options.mels);
  for (int64_t k = 0; k < options.coefficients; ++k) {
    double sum = 0;
    for (size_t m = 0; m < energies.size(); ++m) {
      const double angle = kPi * static_cast<double>(k) * (static_cast<double>(m) + 0.5) / mels;
      sum += energies[m] * std::cos(angle);
    }
    cepstrum.push_back(sum * std::sqrt((k == 0 ? 1 : 2) / mels));
  }
  return cepstrum;
}

TEST(Mfcc, DefaultsGiveTheInputOfHelloEdge) {
  const MfccOptions options;
  EXPECT_EQ(options.frames(), 49);
  EXPECT_EQ(options.values(), 10);
  EXPECT_EQ(options.window_samples(), 640);
  EXPECT_EQ(options.fft_samples(), 1024);
}

TEST(Mfcc, MelScaleHasItsPublishedValues) {
  EXPECT_NEAR(MelOfHz(700), 2595 * std::log10(2), 1e-9);
  EXPECT_NEAR(MelOfHz(1000), 999.9855, 1e-3);
  for (const double hz : {0.0, 20.0, 440.0, 4000.0}) EXPECT_NEAR(HzOfMel(MelOfHz(hz)), hz, 1e-9);
}

TEST(Mfcc, WindowIsPeriodic) {
  const std::vector<double> window = HannWindow(8);
  EXPECT_DOUBLE_EQ(window[0], 0);
  EXPECT_DOUBLE_EQ(window[4], 1);
  for (size_t i = 1; i < 8; ++i) EXPECT_NEAR(window[i], window[8 - i], 1e-15);
  // Overlapped by half it adds up to one, which the symmetric window does not.
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(window[i] + window[i + 4], 1, 1e-15);
}

// Between the first centre and the last, each frequency is shared out whole.
TEST(Mfcc, TrianglesShareOutEachFrequency) {
  const MfccOptions options;
  const std::vector<MelBand> bands = MelBands(options);
  ASSERT_EQ(bands.size(), 40u);
  std::vector<double> sums(513);
  for (const MelBand& band : bands) {
    for (size_t i = 0; i < band.weights.size(); ++i) sums[band.first + i] += band.weights[i];
  }
  for (size_t bin = 0; bin < sums.size(); ++bin) {
    const double hz = static_cast<double>(bin) * 16000 / 1024;
    if (hz >= CentreOf(options, 0) && hz <= CentreOf(options, 39)) {
      EXPECT_NEAR(sums[bin], 1, 1e-6) << "bin " << bin;
    }
    if (hz <= 20 || hz >= 4000) {
      EXPECT_EQ(sums[bin], 0) << "bin " << bin;
    }
  }
}

TEST(Mfcc, TrianglesPeakAtTheirCentres) {
  const MfccOptions options;
  const std::vector<MelBand> bands = MelBands(options);
  for (int64_t m = 0; m < options.mels; ++m) {
    const MelBand& band = bands[static_cast<size_t>(m)];
    const auto highest = std::max_element(band.weights.begin(), band.weights.end());
    const auto bin =
        static_cast<double>(band.first) + static_cast<double>(highest - band.weights.begin());
    EXPECT_NEAR(bin * 16000 / 1024, CentreOf(options, m), 16000.0 / 1024);
    EXPECT_TRUE(std::is_sorted(band.weights.begin(), highest));
    EXPECT_TRUE(std::is_sorted(highest, band.weights.end(), std::greater<>()));
  }
}

// All energy that falls into the bands stands in the spectrum: with bands that cover nearly all of
// it, their sum is half of n times the windowed frame's energy (Parseval; half: one side only).
TEST(Mfcc, BandsKeepTheEnergyOfAFrame) {
  const MfccOptions options{
      .clip_ms = 40, .mels = 20, .low_hz = 0, .high_hz = 8000, .coefficients = 0};
  std::vector<float> clip = Tone(1000, 640);
  for (size_t i = 0; i < clip.size(); ++i) clip[i] += Tone(2500, 640)[i];
  const std::vector<double> window = HannWindow(640);
  double energy = 0;
  for (size_t i = 0; i < clip.size(); ++i) energy += std::pow(window[i] * clip[i], 2);
  double sum = 0;
  for (const float band : FeaturesOf(options, clip)) sum += std::exp(band);
  EXPECT_NEAR(sum / (energy * 1024 / 2), 1, 1e-3);
}

TEST(Mfcc, AToneIsLoudestInTheNearestBand) {
  MfccOptions options;
  options.coefficients = 0;
  for (const int64_t band : {3, 10, 21, 30, 38}) {
    const std::vector<float> features = FeaturesOf(options, Tone(CentreOf(options, band)));
    for (int64_t frame = 0; frame < options.frames(); ++frame) {
      const auto row = features.begin() + frame * options.mels;
      EXPECT_EQ(std::max_element(row, row + options.mels) - row, band) << "frame " << frame;
    }
  }
}

TEST(Mfcc, DctRowsAreOrthonormal) {
  const std::vector<float> dct = DctRows(40, 40);
  for (size_t a = 0; a < 40; ++a) {
    for (size_t b = 0; b < 40; ++b) {
      const double dot = std::inner_product(dct.begin() + static_cast<long>(a) * 40,
                                            dct.begin() + static_cast<long>(a + 1) * 40,
                                            dct.begin() + static_cast<long>(b) * 40, 0.0);
      EXPECT_NEAR(dot, a == b ? 1 : 0, 1e-6);
    }
  }
}

// Silence has every energy at the floor: the transform of a constant is its first coefficient.
TEST(Mfcc, SilenceIsTheTransformOfAConstant) {
  const std::vector<float> features = FeaturesOf({}, std::vector<float>(16000));
  for (size_t i = 0; i < features.size(); ++i) {
    EXPECT_NEAR(features[i], i % 10 == 0 ? std::sqrt(40) * std::log(1e-6) : 0, 1e-4);
  }
}

TEST(Mfcc, TwiceTheAmplitudeAddsLogFour) {
  MfccOptions options;
  options.coefficients = 0;
  std::vector<float> loud = Chirp(16000, 16000);
  const std::vector<float> quiet_features = FeaturesOf(options, loud);
  for (float& sample : loud) sample *= 2;
  const std::vector<float> loud_features = FeaturesOf(options, loud);
  for (size_t i = 0; i < loud_features.size(); ++i) {
    if (quiet_features[i] < -12) continue;  // at the floor
    EXPECT_NEAR(loud_features[i] - quiet_features[i], std::log(4), 1e-4);
  }
}

TEST(Mfcc, EqualsTheFormulasOverAWholeClip) {
  for (const MfccOptions& options : {MfccOptions{.clip_ms = 200},
                                     MfccOptions{.rate = 11025,
                                     .clip_ms = 110,
                                     .window_ms = 25,
                                     .stride_ms = 10,
                                     .mels = 23,
                                     .low_hz = 0,
                                     .high_hz = 5512.5,
                                     .coefficients = 13},
                                     MfccOptions{.rate = 8000,
                                     .clip_ms = 100,
                                     .window_ms = 32,
                                     .stride_ms = 16,
                                     .mels = 20,
                                     .coefficients = 0}}) {
    const std::vector<float> clip =
        Chirp(static_cast<size_t>(options.clip_samples()), static_cast<double>(options.rate));
    const std::vector<float> features = FeaturesOf(options, clip);
    for (int64_t t = 0; t < options.frames(); ++t) {
      const std::vector<double> want = ReferenceFrame(
          options, std::span(clip).subspan(static_cast<size_t>(t * options.stride_samples()),
                                           static_cast<size_t>(options.window_samples())));
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_NEAR(features[static_cast<size_t>(t) * want.size() + i], want[i], 2e-3)
            << "frame " << t << ", value " << i;
      }
    }
  }
}

// Worked out apart from this program, in double precision, from the formulas alone.
TEST(Mfcc, GivesTheNumbersOfAnotherProgram) {
  const std::vector<float> features = FeaturesOf({}, Chirp(16000, 16000));
  const std::vector<std::pair<size_t, std::vector<float>>> golden = {
      {0,
       {-48.26111f, 22.95189f, 29.76006f, -0.56945f, -3.37116f, -3.75493f, -15.53025f, 1.52451f,
        -17.45924f, 4.3197f}},
      {24,
       {-54.09832f, -10.11844f, -18.94294f, -9.99334f, 19.43287f, 6.91076f, -18.98279f, 7.76999f,
        -2.11185f, 11.65553f}},
      {48,
       {-60.49991f, -26.13281f, 1.45993f, 15.06983f, -13.8026f, 2.75362f, 4.46269f, -2.04226f,
        -6.25657f, 13.44482f}}};
  for (const auto& [frame, values] : golden) {
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(features[frame * 10 + i], values[i], 2e-3) << frame << ", " << i;
    }
  }
}

TEST(Mfcc, RefusesNumbersThatDoNotFit) {
  const auto error = [](const MfccOptions& options) { return CheckMfccOptions(options).message(); };
  EXPECT_EQ(error({}), "");
  EXPECT_EQ(error({.clip_ms = 30}), "window_ms: got 40, want at most the 30 of clip_ms");
  EXPECT_EQ(error({.rate = 1000, .window_ms = 1, .high_hz = 400}),
            "window_ms: got 1, want at least two samples in a window");
  EXPECT_EQ(error({.rate = 4000}), "high_hz: got 4000, want at most half the rate of 4000");
  EXPECT_EQ(error({.low_hz = 4000}),
            "low_hz: got 4000, want 0 or more and below the 4000 of high_hz");
  EXPECT_EQ(error({.coefficients = 41}), "coefficients: got 41, want at most the 40 of mels");
  EXPECT_EQ(error({.mels = 200}),
            "mels: got 200, want fewer bands or a longer window: no frequency of a window of 40 ms "
            "lies in band 4");
}

}  // namespace
}  // namespace weft::data
