#include "plan/program.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace weft::plan {

double Program::Flops() const {
  double flops = 0;
  for (const Step& step : steps) flops += step.flops;
  return flops;
}

double Program::RecomputedFlops() const {
  double flops = 0;
  for (const Step& step : steps) flops += step.again ? step.flops : 0;
  return flops;
}

size_t StagingBytes(const Program& program) {
  size_t bytes = 0;
  for (const ParameterValues& parameter : program.parameters) {
    const kernel::Layout& layout = program.values[static_cast<size_t>(parameter.weights)].layout;
    if (!layout.plain()) bytes = std::max(bytes, kernel::Layout(layout.shape()).bytes());
  }
  return bytes;
}

std::string Program::ToString() const {
  std::string text = fmt::format("{:<34} {:<28} {:>9} {}\n", "step", "kernel", "MFLOP", "writes");
  for (size_t s = 0; s < steps.size(); ++s) {
    const Step& step = steps[s];
    if (step.op == nullptr) {
      const bool more = s > 0 && steps[s - 1].op == nullptr;
      if (more) text.pop_back();
      text += (more ? ", " : "") + step.name + "\n";
      continue;
    }
    text += fmt::format("{:<34} {:<28} {:>9.2f}", step.name, step.op->implementation(),
                        step.flops * 1e-6);
    const auto ports = step.op->ports();
    for (size_t i = 0; i < ports.size(); ++i) {
      if (ports[i].access == kernel::Access::kRead) continue;
      const Value& value = values[static_cast<size_t>(step.args[i])];
      text += fmt::format(" {}@{}", value.name, value.offset);
      if (value.layout.shape().rank() > 0) text += " " + value.layout.ToString();
    }
    if (const size_t scratch = step.op->scratch_bytes(); scratch > 0) {
      text += " scratch " + base::HumanBytes(static_cast<double>(scratch));
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
