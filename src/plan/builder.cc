#include "plan/builder.h"

namespace weft::plan {

int Builder::AddInput(std::string name, kernel::Layout layout, size_t bytes, Place place) {
  const int index = draft_.AddValue({std::move(name), std::move(layout), bytes, place, 0}, -1);
  draft_.external.back() = true;
  return index;
}

Result<int> Builder::Adapt(int value, const kernel::Layout& wanted) {
  if (layout(value) == wanted) return value;
  const auto key = std::make_pair(value, wanted.ToString());
  if (const auto found = adapted_.find(key); found != adapted_.end()) {
    if (layout(found->second) == wanted) return found->second;
  }
  const std::string name = draft_.value(value).name;
  ASSIGN_OR_RETURN(const std::vector<int> made,
                   AddStep("reorder " + name, backend_->Reorder(layout(value), wanted), {value}));
  SetName(made[0], name);
  // Another form of what its layer made, unless only the backward pass asks for it.
  if (owner_ >= 0) draft_.owner.back() = draft_.owner[static_cast<size_t>(value)];
  adapted_[key] = made[0];
  return made[0];
}

Result<std::vector<int>> Builder::AddStep(const std::string& name, kernel::Backend::OpResult op,
                                          const std::vector<int>& inputs, double flops) {
  if (!op.ok()) return op.status().Annotate(name);
  Step step;
  step.name = name;
  step.op = std::move(op).value();
  step.flops = flops;
  const auto ports = step.op->ports();
  std::vector<int> outputs;
  size_t next_input = 0;
  step.args.assign(ports.size(), -1);
  for (size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].access == kernel::Access::kWrite) continue;
    CHECK_LT(next_input, inputs.size()) << name << " " << ports[i].name;
    int input = inputs[next_input++];
    if (ports[i].layout.shape().rank() > 0) {
      ASSIGN_OR_RETURN(input, Adapt(input, ports[i].layout));
    }
    step.args[i] = input;
  }
  CHECK_EQ(next_input, inputs.size()) << name;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].access != kernel::Access::kWrite) continue;
    step.args[i] = draft_.AddValue(
        {name + "." + ports[i].name, ports[i].layout, ports[i].bytes, Place::kArena, 0}, owner_);
    outputs.push_back(step.args[i]);
  }
  program().steps.push_back(std::move(step));
  return outputs;
}

void Builder::AddHandOver(std::string name, int parameter, int gradient) {
  Step step;
  step.name = std::move(name);
  step.args = {gradient};
  step.parameter = parameter;
  program().steps.push_back(std::move(step));
}

}  // namespace weft::plan
