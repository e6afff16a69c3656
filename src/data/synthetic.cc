#include "data/synthetic.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "base/rng.h"
#include "base/text.h"
#include "data/labelled_images.h"

namespace weft::data {
namespace {

// Signed distances (below 0: inside) in a frame where a shape reaches about 1 from its middle.
using Distance = float (*)(float x, float y);

float Box(float x, float y, float half_width, float half_height) {
  return std::max(std::fabs(x) - half_width, std::fabs(y) - half_height);
}
float Disc(float x, float y) { return std::sqrt(x * x + y * y) - 0.95f; }
float Ring(float x, float y) { return std::fabs(std::sqrt(x * x + y * y) - 0.78f) - 0.2f; }
float Square(float x, float y) { return Box(x, y, 0.85f, 0.85f); }
float Frame(float x, float y) { return std::fabs(Box(x, y, 0.7f, 0.7f)) - 0.18f; }
float Triangle(float x, float y) {
  return std::max(0.866f * std::fabs(x) - 0.5f * y, y) - 0.5f;  // y points down
}
float Plus(float x, float y) { return std::min(Box(x, y, 1.0f, 0.25f), Box(x, y, 0.25f, 1.0f)); }
float Cross(float x, float y) { return Plus(0.7071f * (x + y), 0.7071f * (x - y)); }
float Diamond(float x, float y) { return 0.7071f * (std::fabs(x) + std::fabs(y) - 1.05f); }
float HorizontalBars(float x, float y) {
  const float stripe = std::min(std::fabs(y), std::fabs(std::fabs(y) - 0.7f)) - 0.19f;
  return std::max(std::fabs(x) - 0.9f, stripe);
}
float VerticalBars(float x, float y) { return HorizontalBars(y, x); }

constexpr std::array<Distance, kShapesClasses> kDistances = {
    Disc, Ring, Square, Frame, Triangle, Plus, Cross, Diamond, HorizontalBars, VerticalBars};

struct Colour {
  std::array<float, 3> rgb;
  float Brightness() const { return 0.3f * rgb[0] + 0.6f * rgb[1] + 0.1f * rgb[2]; }
};

Colour DrawColour(base::Rng& rng) {
  Colour colour;
  for (float& channel : colour.rgb) channel = static_cast<float>(rng.NextUniform(0.05, 0.95));
  return colour;
}

// What varies from sample to sample.
struct Scene {
  explicit Scene(base::Rng& rng) {
    radius = static_cast<float>(rng.NextUniform(7.0, 12.0));
    const double reach = kShapesSide / 2 - radius;
    centre_x = static_cast<float>(kShapesSide / 2 + rng.NextUniform(-reach, reach));
    centre_y = static_cast<float>(kShapesSide / 2 + rng.NextUniform(-reach, reach));
    // Cosine and sine from the tangent of half the angle (at most 12 degrees): exact arithmetic
    // only, so that every C library draws the same.
    const auto half = static_cast<float>(rng.NextUniform(-0.105, 0.105));
    cosine = (1 - half * half) / (1 + half * half);
    sine = 2 * half / (1 + half * half);
    ground = DrawColour(rng);
    do {
      ink = DrawColour(rng);
    } while (std::fabs(ink.Brightness() - ground.Brightness()) < 0.25f);
  }

  float radius, centre_x, centre_y;  // in pixels
  float cosine, sine;
  Colour ground, ink;
};

// Mean 0 and deviation 1: the sum of four 16-bit uniforms (Irwin-Hall), near enough to a normal and
// far cheaper; this is most of the time of drawing.
float RoughNormal(base::Rng& rng) {
  const uint64_t word = rng.Next();
  const uint64_t sum =
      (word & 0xFFFF) + (word >> 16 & 0xFFFF) + (word >> 32 & 0xFFFF) + (word >> 48);
  constexpr float kDeviation = 65536 * 0.57735027f;  // of the sum: 65536 * sqrt(4 / 12)
  return (static_cast<float>(sum) - 2 * 65535.0f) / kDeviation;
}

// How much of each pixel the shape covers, 0..1.
using Coverage = std::array<float, kShapesSide * kShapesSide>;
void Cover(const Scene& scene, Distance distance, Coverage* coverage) {
  for (int64_t row = 0; row < kShapesSide; ++row) {
    for (int64_t column = 0; column < kShapesSide; ++column) {
      const float dx = (static_cast<float>(column) + 0.5f - scene.centre_x) / scene.radius;
      const float dy = (static_cast<float>(row) + 0.5f - scene.centre_y) / scene.radius;
      const float x = scene.cosine * dx + scene.sine * dy;
      const float y = scene.cosine * dy - scene.sine * dx;
      (*coverage)[row * kShapesSide + column] =
          std::clamp(0.5f - distance(x, y) * scene.radius, 0.0f, 1.0f);
    }
  }
}

}  // namespace

int32_t DrawShape(const ShapesOptions& options, int64_t index, std::span<uint8_t> pixels) {
  CHECK_EQ(static_cast<int64_t>(pixels.size()), kShapesPixels);
  const uint64_t stream = base::DeriveSeed(options.seed, options.train ? 1 : 2);
  base::Rng rng(base::DeriveSeed(stream, static_cast<uint64_t>(index)));
  const auto label = static_cast<int32_t>(index % kShapesClasses);
  const Scene scene(rng);
  Coverage coverage;
  Cover(scene, kDistances[static_cast<size_t>(label)], &coverage);
  const auto noise = static_cast<float>(options.noise);
  for (size_t channel = 0; channel < 3; ++channel) {
    const float ground = scene.ground.rgb[channel];
    const float contrast = scene.ink.rgb[channel] - ground;
    uint8_t* plane = pixels.data() + channel * coverage.size();  // (32, 32)
    for (size_t i = 0; i < coverage.size(); ++i) {
      const float value = ground + contrast * coverage[i] + noise * RoughNormal(rng);
      plane[i] = static_cast<uint8_t>(std::clamp(value, 0.0f, 1.0f) * 255.0f + 0.5f);
    }
  }
  return label;
}

Result<std::unique_ptr<Dataset>> OpenSynthetic(const Source& source, bool train) {
  if (source.place != "shapes") {
    const std::vector<std::string> known = {"shapes"};
    return base::InvalidArgument(
        fmt::format("{}: got \"{}\", want synthetic:shapes{}", source.text, source.place,
                    base::DidYouMean(source.place, known) ? " (did you mean \"shapes\"?)" : ""));
  }
  ShapesOptions options{.n = train ? 6000 : 2000, .train = train};
  int64_t seed = 1;
  base::Fields fields(&source.params, "", source.text);
  fields.Get("n", &options.n, {.min = 1, .max = 1e6});
  fields.Get("seed", &seed, {.min = 0});
  fields.Get("noise", &options.noise, {.min = 0, .max = 1});
  RETURN_IF_ERROR(fields.Finish());
  options.seed = static_cast<uint64_t>(seed);

  LabelledImages images{
      .shape = Shape{3, kShapesSide, kShapesSide},
      .classes = kShapesClasses,
      .pixels = Bytes(static_cast<size_t>(options.n * kShapesPixels)),
      .labels = Bytes(static_cast<size_t>(options.n)),
      .description = fmt::format("{} ({})", source.text, train ? "train" : "test")};
  for (int64_t i = 0; i < options.n; ++i) {
    const auto pixels = std::span(images.pixels).subspan(i * kShapesPixels, kShapesPixels);
    images.labels[static_cast<size_t>(i)] = static_cast<uint8_t>(DrawShape(options, i, pixels));
  }
  return DatasetFromImages(std::move(images));
}

}  // namespace weft::data
