#include "kernel/backend.h"

#include <algorithm>

#include "base/text.h"
#include "kernel/chain_backend.h"
#include "kernel/lane_backend.h"
#include "kernel/onednn_backend.h"
#include "kernel/reference_backend.h"
#include "kernel/simd_backend.h"
#include "kernel/tuned_backend.h"
#include "kernel/winograd_backend.h"

namespace weft::kernel {

namespace {

std::vector<std::unique_ptr<Backend>> MembersOf(const std::string& kernels,
                                                const BackendOptions& options) {
  std::vector<std::unique_ptr<Backend>> members;
  const auto onednn = [&] { return std::make_unique<OnednnBackend>(options); };
  const auto winograd = [&](int tile) { return std::make_unique<WinogradBackend>(options, tile); };
  if (kernels != "reference") {
    members.push_back(std::make_unique<SimdBackend>(options));
    members.push_back(std::make_unique<LaneBackend>(options, onednn()));
    if (kernels == "winograd") {
      members.push_back(winograd(4));
      members.push_back(winograd(2));
    } else if (kernels == "auto" && options.clock != nullptr) {
      std::vector<std::unique_ptr<Backend>> candidates;
      candidates.push_back(onednn());
      candidates.push_back(winograd(4));
      candidates.push_back(winograd(2));
      members.push_back(std::make_unique<TunedBackend>(options, std::move(candidates), onednn()));
    }
    members.push_back(onednn());
  }
  members.push_back(std::make_unique<ReferenceBackend>());
  return members;
}

}  // namespace

std::vector<std::string> BackendNames() { return {"onednn", "winograd", "reference"}; }

Result<std::unique_ptr<Backend>> MakeBackend(const std::string& kernels,
                                             const BackendOptions& options) {
  if (options.threads < 1) {
    return base::InvalidArgument("threads: got " + std::to_string(options.threads) +
                                 ", want at least 1");
  }
  std::vector<std::string> known = BackendNames();
  known.insert(known.begin(), "auto");
  if (std::find(known.begin(), known.end(), kernels) == known.end()) {
    const auto near = base::DidYouMean(kernels, known);
    return base::InvalidArgument("kernels: got \"" + kernels + "\", want " +
                                 base::JoinChoices(known) +
                                 (near ? " (did you mean \"" + *near + "\"?)" : ""));
  }
  return std::unique_ptr<Backend>(std::make_unique<ChainBackend>(
      kernels == "auto" ? "onednn" : kernels, MembersOf(kernels, options)));
}

}  // namespace weft::kernel
