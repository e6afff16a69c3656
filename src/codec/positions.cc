#include "codec/positions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

namespace weft::codec {
namespace {

constexpr int kMaxParameter = 11;  // a jump is half of the largest chunk then
constexpr int kNone = -1;
constexpr int kAll = -2;

constexpr size_t kShortBits = 3;
constexpr size_t kLongBits = 5;
// By their header, without its length: what sparse updates need is short.
constexpr std::array<int, 6> kShortForms = {kNone, 5, 6, 7, 8, 9};
constexpr std::array<int, 8> kLongForms = {kAll, 0, 1, 2, 3, 4, 10, 11};
constexpr int kFirstShort = 5;
constexpr int kLastShort = 9;

// ceil(length / 2^k)
size_t JumpsToPass(size_t length, size_t k) { return (length + (size_t{1} << k) - 1) >> k; }

void CheckSpan(size_t span) { CHECK(span >= 1 && span <= kMaxSpan) << "span " << span; }

void PutForm(int form, BitWriter* out) {
  for (size_t i = 0; i < kShortForms.size(); ++i) {
    if (kShortForms[i] == form) return out->Put(i, kShortBits);
  }
  const size_t i = static_cast<size_t>(std::find(kLongForms.begin(), kLongForms.end(), form) -
                                       kLongForms.begin());
  out->Put(kShortForms.size() + i % 2 + i / 2 * 8, kLongBits);
}

int GetForm(BitReader* in) {
  const size_t header = in->Get(kShortBits);
  if (header < kShortForms.size()) return kShortForms[header];
  return kLongForms[header - kShortForms.size() + 2 * in->Get(kLongBits - kShortBits)];
}

// A chunk's positions, of which the lengths of their codes are asked.
struct Gaps {
  std::span<const uint16_t> positions;  // at least one
  size_t span;

  size_t WalkBits(int k) const {
    const size_t n = positions.size();
    const uint16_t* const at = positions.data();
    uint16_t jumps = static_cast<uint16_t>(at[0] >> k);  // of all gaps at most span in sum
    for (size_t i = 1; i < n; ++i) {
      jumps = static_cast<uint16_t>(jumps + (static_cast<uint16_t>(at[i] - at[i - 1] - 1) >> k));
    }
    const size_t tail = span - 1 - at[n - 1];
    return n * static_cast<size_t>(k + 1) + jumps + JumpsToPass(tail, static_cast<size_t>(k));
  }
};

// bits(k) - bits(k + 1) = sum ceil(floor(g / 2^k) / 2) + floor(ceil(tail / 2^k) / 2) - n falls as k
// grows: bits is convex, and its minimum a walk downhill from the one for the mean gap.
int BestWalk(const Gaps& gaps) {
  const size_t mean = gaps.span / gaps.positions.size();
  int k = std::min(kMaxParameter, static_cast<int>(std::bit_width(mean)) - 1);
  size_t bits = gaps.WalkBits(k);
  const int first = k;
  while (k > 0) {
    const size_t below = gaps.WalkBits(k - 1);
    if (below > bits) break;
    bits = below;
    --k;
  }
  if (k < first) return k;
  while (k < kMaxParameter) {
    const size_t above = gaps.WalkBits(k + 1);
    if (above >= bits) break;
    bits = above;
    ++k;
  }
  return k;
}

// The best with its header: only the nearest parameter of a short one can beat that without.
int BestParameter(const Gaps& gaps) {
  const int best = BestWalk(gaps);
  const int near = std::clamp(best, kFirstShort, kLastShort);
  if (near == best) return best;
  const size_t long_bits = gaps.WalkBits(best) + kLongBits;
  const size_t short_bits = gaps.WalkBits(near) + kShortBits;
  if (short_bits == long_bits) return std::min(near, best);
  return short_bits < long_bits ? near : best;
}

int BestForm(std::span<const uint16_t> positions, size_t span) {
  if (positions.empty()) return kNone;
  if (positions.size() == span) return kAll;
  return BestParameter({positions, span});
}

void PutOnes(size_t count, BitWriter* out) {
  for (; count > kMaxFieldBits; count -= kMaxFieldBits) {
    out->Put(LowBits(~uint64_t{0}, kMaxFieldBits), kMaxFieldBits);
  }
  out->Put(LowBits(~uint64_t{0}, count), count);
}

void PutWalk(std::span<const uint16_t> positions, size_t span, int parameter, BitWriter* out) {
  const size_t k = static_cast<size_t>(parameter);
  size_t begin = 0;  // of what the walk has not passed
  for (const size_t position : positions) {
    CHECK(position >= begin) << "position " << position << " not behind the one before";
    const size_t gap = position - begin;
    size_t ones = gap >> k;
    if (ones + 1 + k > kMaxFieldBits) {  // rare: a gap far above the others
      PutOnes(ones, out);
      ones = 0;
    }
    const uint64_t code = LowBits(gap, k) << 1;  // after the ones
    out->Put((code << ones) | LowBits(~uint64_t{0}, ones), ones + 1 + k);
    begin = position + 1;
  }
  PutOnes(JumpsToPass(span - begin, k), out);
}

Status Refuse(size_t position, size_t span) {
  return DataLoss(fmt::format("position: got {}, want below {}", position, span));
}

Status GetWalk(size_t span, int parameter, BitReader* in, std::vector<uint16_t>* positions) {
  const size_t k = static_cast<size_t>(parameter);
  size_t begin = 0;
  while (begin < span) {
    const uint64_t bits = in->Peek();
    const size_t ones =
        std::min(static_cast<size_t>(std::countr_one(bits)), JumpsToPass(span - begin, k));
    begin += ones << k;
    if (begin >= span || ones + 1 + k > kMaxFieldBits) {  // the end, or the rest not yet in bits
      in->Skip(ones);
      continue;
    }
    in->Skip(ones + 1 + k);
    if (in->failed()) break;
    const size_t position = begin + LowBits(bits >> (ones + 1), k);
    if (position >= span) return Refuse(position, span);
    positions->push_back(static_cast<uint16_t>(position));
    begin = position + 1;
  }
  return OkStatus();
}

}  // namespace

void PackPositions(std::span<const uint16_t> positions, size_t span, BitWriter* out) {
  CheckSpan(span);
  CHECK_LE(positions.size(), span);
  CHECK(positions.empty() || positions.back() < span);
  const int form = BestForm(positions, span);
  PutForm(form, out);
  if (form >= 0) PutWalk(positions, span, form, out);
}

Status UnpackPositions(size_t span, BitReader* in, std::vector<uint16_t>* positions) {
  CheckSpan(span);
  positions->clear();
  const int form = GetForm(in);
  if (form >= 0) {
    RETURN_IF_ERROR(GetWalk(span, form, in, positions));
  }
  if (in->failed()) return DataLoss("positions: the input ends within them");
  if (form == kAll) {
    for (size_t i = 0; i < span; ++i) positions->push_back(static_cast<uint16_t>(i));
  }
  return OkStatus();
}

size_t MostPackedBits(size_t span) { return kLongBits + span; }

}  // namespace weft::codec
