#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/check.h"
#include "codec/codec.h"
#include "sim/checker.h"

namespace weft::sim {
namespace {

using Part = cluster::Worker::Part;

class GradientMass : public Checker {
 public:
  explicit GradientMass(const cluster::JobSpec& spec)
      : run_(cluster::RunTag(spec.run)),
        codec_(codec::MakeCodec(spec.codec_up).value()),
        trained_(static_cast<size_t>(spec.trainable_count)),
        decoded_(static_cast<size_t>(spec.parameter_count())) {}
  std::string_view name() const override { return "gradient-mass"; }

  void OnDeviceUp(TimePoint, int device, uint64_t) override { BooksOf(device) = {}; }

  void OnComputed(TimePoint now, int device, const cluster::Compute& compute,
                  std::span<const float> gradient, const std::vector<Part>& parts,
                  const cluster::UpdateEncoder& encoder) override {
    if (gradient.empty()) return;
    const auto where = [&] { return fmt::format("device {}, lease {}", device, compute.lease.id); };
    if (gradient.size() != decoded_.size() || !Decode(compute, parts)) {
      return Violate(now, where() +
                              ": the packets cannot be decoded; want what their codec writes "
                              "of each range");
    }
    if (encoder.residual().empty()) return CheckPlain(now, where(), compute, gradient, parts);
    Books& books = BooksOf(device);
    Enter(&books, compute, gradient);
    CheckResidual(now, where(), books, encoder);
  }

  void OnSettled(TimePoint now, int device, const cluster::Settled& settled,
                 const cluster::UpdateEncoder& encoder) override {
    Books& books = BooksOf(device);
    const auto it = books.in_flight.find({settled.term, settled.lease.id});
    if (it == books.in_flight.end()) return;
    books.moved += settled.applied ? 0 : Largest(books.left);
    Settle(settled.range, settled.applied, &books.left, &it->second);
    if (it->second.settled == trained_) books.in_flight.erase(it);
    CheckResidual(now, fmt::format("device {}, lease {} settled", device, settled.lease.id), books,
                  encoder);
  }

 private:
  // Of rounding: a few units in the last place of each sum of the residual and a gradient, and of
  // each that a refused packet's older part went back into. A residual may be larger than the
  // gradients are: of few values that are sent, of few bits each, and in a step of fewer samples.
  static constexpr double kRounding = 0x1p-22;

  using Key = std::pair<uint64_t, uint64_t>;  // term, lease
  // An update that is not acknowledged in all of its ranges.
  struct InFlight {
    std::vector<double> mass;  // [trained] 0 where it is settled
    std::vector<bool> is_settled;
    size_t settled = 0;  // values
  };
  struct Books {
    std::vector<double> left;  // [trained] sum of (gradient - packet) * samples
    double moved = 0;          // sum of the largest |residual| + |gradient|, times samples
    std::map<Key, InFlight> in_flight;
  };

  static double Largest(std::span<const double> values) {
    double largest = 0;
    for (const double value : values) largest = std::max(largest, std::abs(value));
    return largest;
  }

  // A range of no values stands for all of them.
  void Settle(const cluster::Range& range, bool applied, std::vector<double>* left,
              InFlight* update) const {
    const auto first = static_cast<size_t>(range.begin);
    const size_t end =
        range.count == 0 ? trained_ : std::min(trained_, static_cast<size_t>(range.end()));
    for (size_t i = first; i < end; ++i) {
      if (update->is_settled[i]) continue;
      if (!applied) (*left)[i] -= update->mass[i];
      update->is_settled[i] = true;
      ++update->settled;
    }
  }

  std::span<const float> Of(const cluster::Range& range, std::span<const float> all) const {
    return range.count == 0
               ? all
               : all.subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.count));
  }

  codec::Place PlaceOf(const cluster::Compute& compute, const cluster::Range& range) const {
    return {
        .begin = range.count == 0 ? 0 : range.begin, .run = run_, .base = compute.VersionOf(range)};
  }

  // All of them, into decoded_.
  bool Decode(const cluster::Compute& compute, const std::vector<Part>& parts) {
    size_t values = 0;
    for (const auto& [range, packet] : parts) {
      const size_t first = range.count == 0 ? 0 : static_cast<size_t>(range.begin);
      const size_t count = range.count == 0 ? decoded_.size() : static_cast<size_t>(range.count);
      if (packet == nullptr || first != values || count > decoded_.size() - first) return false;
      const auto part = std::span(decoded_).subspan(first, count);
      if (!codec_->Decode(PlaceOf(compute, range), *packet, part).ok()) return false;
      values += count;
    }
    return values == decoded_.size();
  }

  Books& BooksOf(int device) {
    const auto at = static_cast<size_t>(device);
    if (at >= books_.size()) books_.resize(at + 1);
    return books_[at];
  }

  // Without a residual the packet is the codec's of this gradient and nothing else.
  void CheckPlain(TimePoint now, const std::string& where, const cluster::Compute& compute,
                  std::span<const float> gradient, const std::vector<Part>& parts) {
    bool same = codec_->lossy() || std::ranges::equal(gradient, decoded_);
    for (const auto& [range, packet] : parts) {
      Bytes want;
      CHECK(codec_->Encode(PlaceOf(compute, range), Of(range, gradient), {}, &want).ok());
      same &= std::ranges::equal(want, *packet);
    }
    if (same) return;
    Violate(now, where + ": the packet is not that of its gradient; want it bit for bit");
  }

  void Enter(Books* books, const cluster::Compute& compute, std::span<const float> gradient) {
    const auto samples = static_cast<double>(compute.lease.count);
    std::vector<double> mass(trained_);
    double largest = 0;
    for (size_t i = 0; i < trained_; ++i) {
      mass[i] = (static_cast<double>(gradient[i]) - static_cast<double>(decoded_[i])) * samples;
      largest = std::max(largest, std::abs(static_cast<double>(gradient[i])) * samples);
    }
    books->left.resize(trained_);
    books->moved += largest + Largest(books->left);
    InFlight& kept = books->in_flight[{compute.term, compute.lease.id}];
    // If it is computed again, the first no longer counts.
    if (!kept.mass.empty()) Settle({}, false, &books->left, &kept);
    for (size_t i = 0; i < trained_; ++i) books->left[i] += mass[i];
    kept = {std::move(mass), std::vector<bool>(trained_), 0};
  }

  void CheckResidual(TimePoint now, const std::string& where, const Books& books,
                     const cluster::UpdateEncoder& encoder) {
    const auto samples = static_cast<double>(encoder.residual_samples());
    const std::span<const float> residual = encoder.residual();
    for (size_t i = 0; i < residual.size(); ++i) {
      const double got = static_cast<double>(residual[i]) * samples;
      const double want = i < trained_ ? books.left[i] : 0;
      if (!std::isfinite(want) || std::abs(got - want) <= kRounding * books.moved) continue;
      Violate(now, fmt::format("{}: residual {} is {:g}; want {:g}, what the packets left out",
                               where, i, got, want));
      return;
    }
  }

  const uint64_t run_;
  const std::unique_ptr<codec::Codec> codec_;
  const size_t trained_;
  std::vector<float> decoded_;  // scratch
  std::vector<Books> books_;    // by device
};

}  // namespace

std::unique_ptr<Checker> MakeGradientMassChecker(const cluster::JobSpec& spec) {
  return std::make_unique<GradientMass>(spec);
}

}  // namespace weft::sim
