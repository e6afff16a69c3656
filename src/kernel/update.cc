#include "kernel/update.h"

#include <cmath>

#include "base/check.h"
#include "kernel/parallel.h"
#include "kernel/update_loops.h"

namespace weft::kernel {

namespace {

AdamwFactors FactorsOf(const AdamwOptions& o) {
  const double step = static_cast<double>(o.step);
  const double correction1 = 1 - std::pow(double{o.beta1}, step);
  const double correction2 = 1 - std::pow(double{o.beta2}, step);
  return {.keep = 1 - o.lr * o.weight_decay,
          .beta1 = o.beta1,
          .rest1 = 1 - o.beta1,
          .beta2 = o.beta2,
          .rest2 = 1 - o.beta2,
          .inverse_root_correction2 = static_cast<float>(1 / std::sqrt(correction2)),
          .eps = o.eps,
          .step_size = static_cast<float>(o.lr / correction1)};
}

}  // namespace

void SgdUpdate(const SgdOptions& o, std::span<const float> grad, std::span<float> weights,
               std::span<float> velocity, int threads) {
  CHECK_EQ(grad.size(), weights.size());
  CHECK(o.momentum == 0 || velocity.size() == grad.size()) << "momentum wants a velocity";
  const SgdFactors factors{o.lr, o.momentum, o.weight_decay, o.nesterov};
  ParallelChunks(grad.size(), threads, [&](size_t begin, size_t end) {
    if (o.momentum == 0) {
      SgdPlainLoop(factors, grad.data() + begin, weights.data() + begin, end - begin);
    } else {
      SgdMomentumLoop(factors, grad.data() + begin, weights.data() + begin, velocity.data() + begin,
                      end - begin);
    }
  });
}

void AdamwUpdate(const AdamwOptions& o, std::span<const float> grad, std::span<float> weights,
                 std::span<float> first_moment, std::span<float> second_moment, int threads) {
  CHECK_EQ(grad.size(), weights.size());
  CHECK_EQ(grad.size(), first_moment.size());
  CHECK_EQ(grad.size(), second_moment.size());
  CHECK_LE(1, o.step);
  const AdamwFactors factors = FactorsOf(o);
  ParallelChunks(grad.size(), threads, [&](size_t begin, size_t end) {
    AdamwLoop(factors, grad.data() + begin, weights.data() + begin, first_moment.data() + begin,
              second_moment.data() + begin, end - begin);
  });
}

void Axpy(float a, std::span<const float> x, std::span<float> y, int threads) {
  CHECK_EQ(x.size(), y.size());
  ParallelChunks(x.size(), threads, [&](size_t begin, size_t end) {
    AxpyLoop(a, x.data() + begin, y.data() + begin, end - begin);
  });
}

void Scale(float a, std::span<float> y, int threads) {
  ParallelChunks(y.size(), threads,
                 [&](size_t begin, size_t end) { ScaleLoop(a, y.data() + begin, end - begin); });
}

double Norm(std::span<const float> x) { return std::sqrt(SquaresLoop(x.data(), x.size())); }

bool AllFinite(std::span<const float> x) { return AllFiniteLoop(x.data(), x.size()); }

}  // namespace weft::kernel
