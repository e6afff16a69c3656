#pragma once
// Link plan: how much of an update to send over a link, and how often, so that a device computes
// most of the time.
//
// An exchange of an update for new parameters takes
//
//   T_c = round trip + bytes up / rate up + bytes down / rate down
//
// of which, where updates and parameters are under way at the same time, only the longer counts.
// It may take `budget` of the time in which the device computes (0.1: a tenth). Choices stand in
// one order, from what changes training least to what changes it most; for 1, 2, 4, ... local
// steps an exchange up to the most:
//
//   all values       as fp32, fp16, int8, int4, int2
//   the largest      1/4, 1/8, ... of each 4,096, down to the least density, as int2
//
// The first whose T_c is within the budget is taken; so as long as one is, a link that is slower in
// any way never gets an earlier choice. Two levels a value suffice for the largest: their sizes
// differ little, and for the same bytes int4 would send a fifth fewer of them. Where the round trip
// alone takes more than half of the budget, more local steps come before lower densities: fewer
// bytes could win back only what they take.
//
// If an earlier choice of as many local steps makes steps no longer, encoding counted, it is taken
// instead: on a fast network to compress costs more than it saves. If none is within the budget,
// the first is taken whose steps take at most half of the budget longer than the fastest's: where
// nothing but the round trip counts, that is dense.
//
// Sources: Sudharsan et al. 2021 (compress and train longer between exchanges where links are
// poor; T_c); Lin et al. 2018, Deep Gradient Compression (densities down to 0.001). The order and
// the budget are our own.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "codec/codec.h"

namespace weft::plan {

// Of a device to its leader. 0: not known.
struct LinkProfile {
  double up_bytes_per_second = 0;
  double down_bytes_per_second = 0;
  double round_trip_seconds = 0;
};

struct Exchange {
  double up_bytes = 0;
  double down_bytes = 0;
  bool overlapped = false;  // both ways at once
};
// T_c. A rate that is not known takes no time.
double ExchangeSeconds(const LinkProfile& link, const Exchange& exchange);

// What is to be exchanged, and in what time.
struct LinkLoad {
  double compute_seconds = 0;  // of one local step; 0: not known
  int64_t values = 0;
  std::span<const codec::Tensor> tensors;  // as in codec::CodecOptions
  // Of the parameters that come back; left out: as many as the update has, because differences
  // travel with the same target.
  std::optional<double> down_bytes;
  bool overlapped = false;
};

struct LinkLimits {
  double budget = 0.1;           // share of the computing time, above 0
  double least_density = 0.001;  // above 0
  int64_t most_local_steps = 1;  // at least 1; 1: an exchange each step
};

struct LinkChoice {
  codec::Target target;
  int64_t local_steps = 1;  // between two exchanges
  bool known = false;       // false: the link or the computing time is not known yet
  bool fits = false;        // within the budget
  // Predicted, of one exchange and of the local steps before it; 0 if not known.
  double exchange_seconds = 0;
  double compute_seconds = 0;
  std::string words;  // for people: "1.56 % of the values as int2, every 4 steps: ..."
  bool operator==(const LinkChoice&) const = default;
};

// One rate that is not known is taken to be the other; while neither is, or no computing time, all
// is sent as fp32 every step.
LinkChoice ChooseLink(const LinkProfile& link, const LinkLoad& load, const LinkLimits& limits);

// The same for a link that has a choice already, without changing it for every change of the
// link: `held` stays while it takes at most 1.25 times what it may and no earlier choice fits half
// of the budget; one that does is taken. So before a choice that was given up comes back, its T_c
// has to fall to 40 % of what it was. What stays has its times anew; all stays while the link is
// not known any more.
LinkChoice ChooseLinkAgain(const LinkChoice& held, const LinkProfile& link, const LinkLoad& load,
                           const LinkLimits& limits);

// What a target sends, for people: "all values as fp16".
std::string DescribeTarget(const codec::Target& target);

}  // namespace weft::plan
