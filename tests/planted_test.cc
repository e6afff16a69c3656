// The checkers of the simulator, checked: with a fault planted in the code of a cluster, the
// checker that it is for fires within some seeds of the swarm; without one, none does. This program
// has its own build of cluster/ and sim/, with the faults in it (base/planted.h).

#include "base/planted.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>

#include "sim/swarm.h"

namespace weft::sim {
namespace {

constexpr uint64_t kSeeds = 100;

struct Plant {
  const char* fault;
  const char* checker;  // "name: " of what it says
  Scope scope = Scope::kSteps;
};
void PrintTo(const Plant& plant, std::ostream* out) { *out << plant.fault; }

class Planted : public testing::TestWithParam<Plant> {
 protected:
  ~Planted() override { base::planted_fault.clear(); }
};

TEST(Unplanted, NothingIsFound) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    EXPECT_EQ(RunSeed(seed).violations, std::vector<std::string>()) << ReplayCommand(seed);
  }
}

TEST_P(Planted, IsFoundByItsChecker) {
  base::planted_fault = GetParam().fault;
  const auto names_it = [&](const std::string& violation) {
    return violation.starts_with(GetParam().checker);
  };
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    if (std::ranges::any_of(RunSeed(seed, false, GetParam().scope).violations, names_it)) return;
  }
  FAIL() << GetParam().checker << " found nothing in " << kSeeds << " seeds";
}

INSTANTIATE_TEST_SUITE_P(
    Swarm, Planted,
    testing::Values(Plant{"leader.records_one_lease_twice", "exactly-once: "},
                    Plant{"step_plan.overlaps", "exactly-once: "},
                    Plant{"leader.acknowledges_the_beaten", "at-most-once: "},
                    Plant{"leader.forgets_what_it_applied", "at-most-once: "},
                    Plant{"leader.acknowledges_early", "survival: "},
                    Plant{"leader.reports_a_later_checkpoint", "survival: "},
                    Plant{"update_encoder.forgets_the_refused", "gradient-mass: "},
                    Plant{"leader.adds_the_one_before", "applied-sum: "},
                    Plant{"run_records.keeps_the_term", "fencing: "},
                    Plant{"worker.keeps_an_older_term", "fencing: "},
                    Plant{"worker.dials_at_once", "bounds: "},
                    Plant{"coordinator.keeps_leases_of_the_lost", "progress: "},
                    Plant{"coordinator.forgets_the_half_applied",
                          "exactly-once: ", Scope::kElastic},
                    Plant{"shard.applies_a_lease_twice", "at-most-once: ", Scope::kElastic},
                    Plant{"shard.refuses_but_applies", "applied-sum: ", Scope::kElastic},
                    Plant{"shard.acknowledges_before_its_standby", "survival: ", Scope::kElastic},
                    Plant{"shard.skips_a_replica", "applied-sum: ", Scope::kElastic},
                    Plant{"shard.forgets_staleness", "applied-sum: ", Scope::kElastic},
                    Plant{"shard.takes_an_update_for_a_batch", "applied-sum: ", Scope::kElastic},
                    Plant{"shard.lets_replicas_pile_up", "bounds: ", Scope::kElastic}),
    [](const auto& plant) {
      std::string name = plant.param.fault;
      std::ranges::replace(name, '.', '_');
      return name;
    });

}  // namespace
}  // namespace weft::sim
