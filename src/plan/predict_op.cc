#include "plan/predict_op.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <utility>

namespace weft::plan {
namespace {

constexpr std::array<std::string_view, kOpKinds> kNames = {
    "conv forward",
    "conv backward data",
    "conv backward weights",
    "grouped conv forward",
    "grouped conv backward data",
    "grouped conv backward weights",
    "linear forward",
    "linear backward data",
    "linear backward weights",
    "batchnorm forward",
    "batchnorm backward",
    "pool forward",
    "pool backward",
    "activation",
    "add",
    "dropout",
    "loss",
    "reorder",
    "load",
    "update",
    "other",
};

// The ports of an Op by name.
class Ports {
 public:
  explicit Ports(const kernel::Op& op) : ports_(op.ports()) {}

  bool Has(std::string_view name) const { return Find(name) != nullptr; }
  const Shape& ShapeOf(std::string_view name) const {
    static const Shape kNone;
    const kernel::Port* port = Find(name);
    return port == nullptr ? kNone : port->layout.shape();
  }
  // The first that is there.
  const Shape& ShapeOf(std::string_view a, std::string_view b) const {
    return Has(a) ? ShapeOf(a) : ShapeOf(b);
  }
  double Bytes() const {
    double bytes = 0;
    for (const kernel::Port& port : ports_) bytes += static_cast<double>(port.bytes);
    return std::max(bytes, 1.0);
  }
  // Of the tensor with most numbers.
  const Shape& Largest() const {
    static const Shape kNone;
    const Shape* largest = &kNone;
    for (const kernel::Port& port : ports_) {
      const Shape& shape = port.layout.shape();
      if (shape.rank() == 0) continue;
      if (largest->rank() == 0 || shape.elements() > largest->elements()) largest = &shape;
    }
    return *largest;
  }
  size_t count() const { return ports_.size(); }

 private:
  const kernel::Port* Find(std::string_view name) const {
    for (const kernel::Port& port : ports_) {
      if (port.name == name) return &port;
    }
    return nullptr;
  }

  std::span<const kernel::Port> ports_;
};

double Dim(const Shape& shape, int axis) {
  return axis < shape.rank() ? static_cast<double>(std::max<int64_t>(shape[axis], 1)) : 1.0;
}

double Pixels(const Shape& shape) { return Dim(shape, 2) * Dim(shape, 3); }

// A pass through a convolution or a linear layer.
OpKind WeightedKind(const Ports& ports, bool conv, bool grouped) {
  const int pass = ports.Has("diff_weights") ? 2 : ports.Has("diff_src") ? 1 : 0;
  const OpKind first = !conv     ? OpKind::kLinearForward
                       : grouped ? OpKind::kGroupedForward
                                 : OpKind::kConvForward;
  return static_cast<OpKind>(static_cast<int>(first) + pass);
}

// Channels as vectors of eight hold them. The few of a first layer are another matter: kernels have
// ways of their own for them.
double Padded(double channels) {
  constexpr double kVector = 8;
  return channels <= kVector / 2 ? channels : std::ceil(channels / kVector) * kVector;
}

OpSize WeightedSize(const Ports& ports, double flops) {
  const Shape& weights = ports.ShapeOf("weights", "diff_weights");
  const Shape& src = ports.ShapeOf("src", "diff_src");
  const Shape& dst = ports.ShapeOf("dst", "diff_dst");
  const bool conv = weights.rank() == 4 && dst.rank() == 4;
  OpSize size;
  size.batch = Dim(dst, 0);
  size.in = Dim(weights, 1);
  size.out = Dim(weights, 0);
  if (conv) {
    size.groups = std::max(1.0, Dim(src, 1) / size.in);
    size.out /= size.groups;
    size.pixels = Pixels(dst);
    size.window = Dim(weights, 2) * Dim(weights, 3);
    size.stride = std::max(1.0, std::round(Pixels(src) / size.pixels));
    if (size.groups == 1) {
      flops /= size.in * size.out;
      size.in = Padded(size.in);
      size.out = Padded(size.out);
      flops *= size.in * size.out;
    }
  } else {
    size.in = static_cast<double>(weights.elements()) / size.out;
  }
  size.kind = WeightedKind(ports, conv, size.groups > 1);
  size.work = std::max(flops, 1.0);
  return size;
}

OpKind PlainKind(const Ports& ports) {
  if (ports.Has("gamma")) {
    return ports.Has("diff_src") ? OpKind::kBatchnormBackward : OpKind::kBatchnormForward;
  }
  if (ports.Has("labels")) return OpKind::kLoss;
  if (ports.Has("keys")) return OpKind::kDropout;
  if (ports.Has("a") && ports.Has("b")) return OpKind::kAdd;
  if (ports.Has("dst") && ports.Has("diff_dst")) return OpKind::kActivation;
  if (ports.Has("diff_dst") && ports.Has("diff_src")) return OpKind::kPoolBackward;
  if (!ports.Has("src") || !ports.Has("dst")) return OpKind::kOther;
  if (!(ports.ShapeOf("src") == ports.ShapeOf("dst"))) return OpKind::kPoolForward;
  return OpKind::kActivation;
}

OpSize SizeOf(const Step& step) {
  const Ports ports(*step.op);
  OpSize size;
  if (step.flops > 0 && (ports.Has("weights") || ports.Has("diff_weights"))) {
    size = WeightedSize(ports, step.flops);
  } else {
    size.kind = PlainKind(ports);
    const Shape& shape = ports.Largest();
    size.batch = Dim(shape, 0);
    size.in = Dim(shape, 1);
    size.pixels = Pixels(shape);
    size.work = ports.Bytes();
    if (size.kind == OpKind::kPoolForward || size.kind == OpKind::kPoolBackward) {
      size.window = std::max(1.0, size.pixels / Pixels(ports.ShapeOf("dst", "diff_dst")));
    }
    // A change of layout has the ports of a forward activation.
    if (size.kind == OpKind::kActivation && ports.Has("src") &&
        !(step.op->ports()[0].layout == step.op->ports()[1].layout)) {
      size.kind = OpKind::kReorder;
    }
  }
  size.bytes = ports.Bytes();
  return size;
}

// Bytes at a place that a step touches.
struct Touched {
  Place place;
  size_t offset;
  double bytes;
};

Touched TouchedBy(const Program& program, int value, double bytes) {
  const Value& v = program.values[static_cast<size_t>(value)];
  return {v.place, v.offset, bytes};
}

// The optimizer's state lies beside the weights and is touched when they are updated: its bytes
// count as the weights' own.
std::vector<Touched> TouchedBy(const Program& program, const Step& step, const UpdateCost& update) {
  std::vector<Touched> touched;
  if (step.op == nullptr) {
    const ParameterValues& values = program.parameters[static_cast<size_t>(step.parameter)];
    const Value& weights = program.values[static_cast<size_t>(values.weights)];
    const auto bytes = static_cast<double>(weights.bytes);
    touched.push_back(TouchedBy(program, values.gradient, bytes));
    touched.push_back(TouchedBy(program, values.weights,
                                bytes * (2 + 2 * static_cast<double>(update.state_vectors))));
    return touched;
  }
  const auto ports = step.op->ports();
  for (size_t i = 0; i < ports.size(); ++i) {
    touched.push_back(TouchedBy(program, step.args[i], static_cast<double>(ports[i].bytes)));
  }
  return touched;
}

// When each place of memory was last touched, counted in bytes touched since the start.
class Memory {
 public:
  // The mean distance since all of these were touched before.
  double Touch(const std::vector<Touched>& all) {
    double total = 0, logs = 0;
    for (const Touched& one : all) {
      const auto found = touched_.find({one.place, one.offset});
      const double distance = found == touched_.end() ? kMostReuse : now_ - found->second;
      logs += one.bytes * std::log2(std::clamp(distance, kLeastReuse, kMostReuse));
      total += one.bytes;
    }
    now_ += total;
    for (const Touched& one : all) touched_[{one.place, one.offset}] = now_;
    return total > 0 ? std::exp2(logs / total) : kLeastReuse;
  }
  double now() const { return now_; }

 private:
  double now_ = 0;
  std::map<std::pair<Place, size_t>, double> touched_;
};

}  // namespace

std::string_view OpKindName(OpKind kind) { return kNames[static_cast<size_t>(kind)]; }

bool CountsFlops(OpKind kind) { return kind <= OpKind::kLinearBackwardWeights; }

std::vector<OpSize> SizesOf(const Program& program, const UpdateCost& update) {
  std::vector<OpSize> sizes;
  std::vector<std::vector<Touched>> touched;
  for (const Step& step : program.steps) {
    touched.push_back(TouchedBy(program, step, update));
    if (step.op != nullptr) {
      sizes.push_back(SizeOf(step));
      continue;
    }
    OpSize& update_size = sizes.emplace_back();
    update_size.kind = OpKind::kUpdate;
    update_size.bytes = 0;
    for (const Touched& one : touched.back()) update_size.bytes += one.bytes;
    update_size.work = update_size.bytes;
  }
  Memory memory;
  // The second time around, the step before has left its traces.
  for (int round = 0; round < 2; ++round) {
    for (size_t i = 0; i < sizes.size(); ++i) sizes[i].reuse = memory.Touch(touched[i]);
  }
  // Read from the batch, written to the arena, with the whole step in between.
  const Value& samples = program.values[static_cast<size_t>(program.samples)];
  OpSize& load = sizes.emplace_back();
  load.kind = OpKind::kLoad;
  load.work = load.bytes = std::max(2 * static_cast<double>(samples.bytes), 1.0);
  load.reuse = std::clamp(memory.now() / 2, kLeastReuse, kMostReuse);
  return sizes;
}

}  // namespace weft::plan
