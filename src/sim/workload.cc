#include "sim/workload.h"

#include "base/check.h"

namespace weft::sim {
namespace {

class CostWorkload : public Workload {
 public:
  explicit CostWorkload(int64_t parameter_count) : zeros_(static_cast<size_t>(parameter_count)) {}
  Result<Computed> Compute(std::span<const float> parameters, const cluster::Compute&,
                           int) override {
    CHECK_EQ(parameters.size(), zeros_.size());
    return Computed{.gradient = zeros_, .loss_sum = 0, .correct = 0};
  }
  cluster::Snapshot Start() override { return {0, 0, zeros_, {}}; }

 private:
  const std::vector<float> zeros_;
};

}  // namespace

std::shared_ptr<Workload> MakeCostWorkload(int64_t parameter_count) {
  return std::make_shared<CostWorkload>(parameter_count);
}

}  // namespace weft::sim
