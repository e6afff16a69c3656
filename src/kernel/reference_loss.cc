// Mean softmax cross-entropy and its gradient, each row computed from its maximum downwards so that
// no exponential overflows: loss = log(sum_j exp(z_j - z_max)) - (z_label - z_max).

#include <algorithm>
#include <cmath>

#include "kernel/reference_backend.h"
#include "kernel/reference_op.h"

namespace weft::kernel {

namespace {

// One sample. diff_logits may be logits. Returns the loss.
double Row(const float* logits, int64_t classes, int32_t label, double batch, float* diff_logits) {
  const double max = *std::max_element(logits, logits + classes);
  const double label_logit = logits[label];
  double sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += std::exp(logits[c] - max);
  for (int64_t c = 0; c < classes; ++c) {
    const double share = std::exp(logits[c] - max) / sum;
    diff_logits[c] = static_cast<float>((share - (c == label ? 1.0 : 0.0)) / batch);
  }
  return std::log(sum) - (label_logit - max);
}

void Loss(const LossDesc& d, const float* logits, const int32_t* labels, float* diff_logits,
          LossStats* stats) {
  *stats = LossStats();
  for (int64_t n = 0; n < d.batch; ++n) {
    const float* row = logits + n * d.classes;
    float* diff_row = diff_logits + n * d.classes;
    if (labels[n] < 0 || labels[n] >= d.classes) {
      if (stats->bad_label < 0) stats->bad_label = n;
      std::fill_n(diff_row, d.classes, 0.0f);
      continue;
    }
    if (std::max_element(row, row + d.classes) - row == labels[n]) ++stats->correct;
    stats->loss_sum += Row(row, d.classes, labels[n], static_cast<double>(d.batch), diff_row);
  }
}

}  // namespace

Backend::OpResult ReferenceBackend::SoftmaxCrossEntropy(const LossDesc& d) {
  const Layout logits(Shape{d.batch, d.classes});
  return MakeReferenceOp(
      {TensorPort("logits", Access::kRead, logits),
       BytesPort("labels", Access::kRead, static_cast<size_t>(d.batch) * sizeof(int32_t)),
       TensorPort("diff_logits", Access::kWrite, logits, 0),
       BytesPort("stats", Access::kWrite, sizeof(LossStats))},
      [d](const Arguments& args) {
        Loss(d, args.in(0), args.at<const int32_t>(1), args.out(2), args.at<LossStats>(3));
      });
}

}  // namespace weft::kernel
