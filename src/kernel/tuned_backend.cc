#include "kernel/tuned_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "kernel/onednn_layout.h"
#include "kernel/trial.h"

namespace weft::kernel {

namespace {

// What this process has found out: the index of the best candidate by all that it depends on.
struct Choices {
  std::mutex mutex;  // held during a trial: two at once would disturb each other
  std::map<std::string, size_t> best;
};

Choices& ProcessChoices() {
  static Choices choices;
  return choices;
}

std::string KeyOf(const char* pass, const ConvDesc& d, const Layout& images) {
  return fmt::format(
      "{} {}x{}x{} to {} kernel {}x{} stride {}x{} pad {},{},{},{} groups {} bias {} "
      "activation {} block {}",
      pass, d.in_channels, d.in_height, d.in_width, d.out_channels, d.kernel_height, d.kernel_width,
      d.stride_height, d.stride_width, d.pad_top, d.pad_left, d.pad_bottom, d.pad_right, d.groups,
      d.bias, static_cast<int>(d.activation), ChannelBlockOf(images));
}

// A layout hint for fewer samples.
Layout WithBatch(const Layout& layout, int64_t batch) {
  const Shape& shape = layout.shape();
  if (shape[0] == batch) return layout;
  const Shape fewer = {batch, shape[1], shape[2], shape[3]};
  const int64_t block = ChannelBlockOf(layout);
  return block == 0 ? Layout(fewer) : ImageLayout(fewer, block);
}

// Seconds of the fastest of a few runs; fewer if it is clearly slower than `best`.
double Measure(const base::Clock& clock, double best, Trial* trial) {
  constexpr int kRuns = 3;
  constexpr double kHopeless = 1.3;
  double least = trial->Time(clock);
  for (int i = 1; i < kRuns && least < kHopeless * best; ++i) {
    least = std::min(least, trial->Time(clock));
  }
  return least;
}

}  // namespace

TunedBackend::TunedBackend(const BackendOptions& options,
                           std::vector<std::unique_ptr<Backend>> candidates,
                           std::unique_ptr<Backend> reorder)
    : options_(options), candidates_(std::move(candidates)), reorder_(std::move(reorder)) {
  CHECK(options_.clock != nullptr);
}

template <class Make>
Backend::OpResult TunedBackend::Choose(const std::string& key, const ConvDesc& desc,
                                       const Make& make) {
  ConvDesc trial_desc = desc;
  trial_desc.batch = std::min<int64_t>(
      kTrialBatch, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(desc.batch))));
  Choices& choices = ProcessChoices();
  const std::lock_guard lock(choices.mutex);
  const std::string full_key =
      fmt::format("{} batch {} threads {}", key, trial_desc.batch, options_.threads);
  const auto found = choices.best.find(full_key);
  if (found != choices.best.end()) return make(*candidates_[found->second], desc);
  ASSIGN_OR_RETURN(const size_t best, FindBest(trial_desc, make));
  choices.best.emplace(full_key, best);
  return make(*candidates_[best], desc);
}

// The index of the candidate that runs fastest.
template <class Make>
Result<size_t> TunedBackend::FindBest(const ConvDesc& desc, const Make& make) {
  ASSIGN_OR_RETURN(auto op, make(*candidates_[0], desc));
  std::vector<size_t> able;
  for (size_t i = 1; i < candidates_.size(); ++i) {
    if (make(*candidates_[i], desc).ok()) able.push_back(i);
  }
  size_t best = 0;
  if (able.empty()) return best;
  ASSIGN_OR_RETURN(const auto measure, Trial::Make(std::move(op), reorder_.get()));
  measure->Time(*options_.clock);  // warms up, and makes the output
  ASSIGN_OR_RETURN(const tensor::Arena want, measure->Output());
  double seconds = Measure(*options_.clock, 0, measure.get());
  for (const size_t candidate : able) {
    ASSIGN_OR_RETURN(op, make(*candidates_[candidate], desc));
    ASSIGN_OR_RETURN(const auto trial, Trial::Make(std::move(op), reorder_.get()));
    trial->Time(*options_.clock);
    ASSIGN_OR_RETURN(const tensor::Arena got, trial->Output());
    if (!(RelativeDeviation(got, want) <= kMostDeviation)) continue;
    const double took = Measure(*options_.clock, seconds, trial.get());
    if (took < seconds) {
      seconds = took;
      best = candidate;
    }
  }
  return best;
}

Backend::OpResult TunedBackend::ConvForward(const ConvDesc& desc, const Layout& src) {
  return Choose(KeyOf("forward", desc, src), desc, [&](Backend& backend, const ConvDesc& d) {
    return backend.ConvForward(d, WithBatch(src, d.batch));
  });
}

Backend::OpResult TunedBackend::ConvBackwardData(const ConvDesc& desc, const Layout& diff_dst,
                                                 const Layout& src) {
  return Choose(
      KeyOf("backward data", desc, diff_dst), desc, [&](Backend& backend, const ConvDesc& d) {
        return backend.ConvBackwardData(d, WithBatch(diff_dst, d.batch), WithBatch(src, d.batch));
      });
}

Backend::OpResult TunedBackend::ConvBackwardWeights(const ConvDesc& desc, const Layout& src,
                                                    const Layout& diff_dst, const Layout& weights) {
  return Choose(KeyOf("backward weights", desc, src), desc,
                [&](Backend& backend, const ConvDesc& d) {
                  return backend.ConvBackwardWeights(d, WithBatch(src, d.batch),
                                                     WithBatch(diff_dst, d.batch), weights);
                });
}

}  // namespace weft::kernel
