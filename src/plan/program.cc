#include "plan/program.h"

#include <fmt/format.h>

#include "base/text.h"

namespace weft::plan {

double Program::Flops() const {
  double flops = 0;
  for (const Step& step : steps) flops += step.flops;
  return flops;
}

std::string Program::ToString() const {
  std::string text = fmt::format("{:<34} {:<28} {:>9} {}\n", "step", "kernel", "MFLOP", "writes");
  for (const Step& step : steps) {
    text += fmt::format("{:<34} {:<28} {:>9.2f}", step.name, step.op->implementation(),
                        step.flops * 1e-6);
    const auto ports = step.op->ports();
    for (size_t i = 0; i < ports.size(); ++i) {
      if (ports[i].access == kernel::Access::kRead) continue;
      const Value& value = values[static_cast<size_t>(step.args[i])];
      text += fmt::format(" {}@{}", value.name, value.offset);
      if (value.layout.shape().rank() > 0) text += " " + value.layout.ToString();
    }
    text += "\n";
  }
  text += fmt::format("arena {} (floor {}), parameters {}, {:.3f} GFLOP a step\n",
                      base::HumanBytes(static_cast<double>(arena_bytes)),
                      base::HumanBytes(static_cast<double>(arena_floor_bytes)),
                      base::HumanBytes(static_cast<double>(parameter_bytes)), Flops() * 1e-9);
  return text;
}

}  // namespace weft::plan
