#include "kernel/backend.h"

#include <algorithm>

#include "base/text.h"
#include "kernel/chain_backend.h"
#include "kernel/onednn_backend.h"
#include "kernel/reference_backend.h"
#include "kernel/simd_backend.h"
#include "kernel/winograd_backend.h"

namespace weft::kernel {

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
  std::vector<std::unique_ptr<Backend>> members;
  if (kernels != "reference") {
    members.push_back(std::make_unique<SimdBackend>(options));
    if (kernels == "winograd") {
      members.push_back(std::make_unique<WinogradBackend>(options, 4));
      members.push_back(std::make_unique<WinogradBackend>(options, 2));
    }
    members.push_back(std::make_unique<OnednnBackend>(options));
  }
  members.push_back(std::make_unique<ReferenceBackend>());
  const std::string name = kernels == "reference" ? "reference" : "onednn";
  return std::unique_ptr<Backend>(std::make_unique<ChainBackend>(name, std::move(members)));
}

}  // namespace weft::kernel
