#pragma once
// What an update that was computed with older parameters is worth, and how to bring it up to date.

#include <span>

namespace weft::aggregate {

// s^-exponent for an update that is s rounds older than usual, s above 1; 1 below. A round is a
// batch's worth of updates. With n workers that each push by themselves one round is the usual age,
// so the caller takes that off; and as speeds differ, one more says nothing yet.
// Source of the power, and of having it set in late: Xie et al. 2019, Asynchronous Federated
// Optimization, section 5.2.
double StalenessWeight(double rounds_older_than_usual, double exponent);

// gradient += lambda * gradient^2 * (now - base), elementwise: a step of Taylor's series, with the
// squared gradient in the place of the Hessian's diagonal.
// Source: Zheng et al. 2017, Asynchronous SGD with Delay Compensation, equation 10.
//   gradient  [n] f32  read and written: at `base`, then about that at `now`
//   now, base [n] f32  read: parameters
void DelayCompensate(std::span<float> gradient, std::span<const float> now,
                     std::span<const float> base, double lambda);

}  // namespace weft::aggregate
