#include "kernel/ports.h"

namespace weft::kernel {

namespace {

constexpr Access kRead = Access::kRead;
constexpr Access kWrite = Access::kWrite;

Layout Channels(const Layout& data) { return Layout(Shape{data.shape()[1]}); }

}  // namespace

Port TensorPort(std::string name, Access access, const Layout& layout, int may_overwrite) {
  return {std::move(name), access, layout, layout.bytes(), may_overwrite};
}

Port BytesPort(std::string name, Access access, size_t bytes) {
  return {std::move(name), access, Layout(), bytes, -1};
}

std::vector<Port> WeightedForwardPorts(const WeightedLayouts& layouts) {
  std::vector<Port> ports = {TensorPort("src", kRead, layouts.src),
                             TensorPort("weights", kRead, layouts.weights)};
  if (layouts.bias) {
    ports.push_back(TensorPort("bias", kRead, Layout(Shape{layouts.weights.shape()[0]})));
  }
  ports.push_back(TensorPort("dst", kWrite, layouts.dst));
  return ports;
}

std::vector<Port> WeightedBackwardDataPorts(const WeightedLayouts& layouts) {
  return {TensorPort("diff_dst", kRead, layouts.dst), TensorPort("weights", kRead, layouts.weights),
          TensorPort("diff_src", kWrite, layouts.src)};
}

std::vector<Port> WeightedBackwardWeightsPorts(const WeightedLayouts& layouts) {
  std::vector<Port> ports = {TensorPort("src", kRead, layouts.src),
                             TensorPort("diff_dst", kRead, layouts.dst),
                             TensorPort("diff_weights", kWrite, layouts.weights)};
  if (layouts.bias) {
    ports.push_back(TensorPort("diff_bias", kWrite, Layout(Shape{layouts.weights.shape()[0]})));
  }
  return ports;
}

std::vector<Port> BatchnormForwardPorts(const Layout& data, size_t workspace_bytes) {
  const Layout channels = Channels(data);
  std::vector<Port> ports = {
      TensorPort("src", kRead, data),       TensorPort("gamma", kRead, channels),
      TensorPort("beta", kRead, channels),  TensorPort("dst", kWrite, data, 0),
      TensorPort("mean", kWrite, channels), TensorPort("variance", kWrite, channels)};
  if (workspace_bytes > 0) ports.push_back(BytesPort("workspace", kWrite, workspace_bytes));
  return ports;
}

std::vector<Port> BatchnormInferencePorts(const Layout& data) {
  const Layout channels = Channels(data);
  return {TensorPort("src", kRead, data),          TensorPort("gamma", kRead, channels),
          TensorPort("beta", kRead, channels),     TensorPort("mean", kRead, channels),
          TensorPort("variance", kRead, channels), TensorPort("dst", kWrite, data, 0)};
}

std::vector<Port> BatchnormBackwardPorts(const Layout& data, size_t workspace_bytes) {
  const Layout channels = Channels(data);
  std::vector<Port> ports = {TensorPort("src", kRead, data), TensorPort("mean", kRead, channels),
                             TensorPort("variance", kRead, channels),
                             TensorPort("gamma", kRead, channels),
                             TensorPort("diff_dst", kRead, data)};
  if (workspace_bytes > 0) ports.push_back(BytesPort("workspace", kRead, workspace_bytes));
  ports.push_back(TensorPort("diff_src", kWrite, data, 4));
  ports.push_back(TensorPort("diff_gamma", kWrite, channels));
  ports.push_back(TensorPort("diff_beta", kWrite, channels));
  return ports;
}

std::vector<Port> PoolForwardPorts(const PoolLayouts& layouts, size_t workspace_bytes) {
  std::vector<Port> ports = {TensorPort("src", kRead, layouts.src),
                             TensorPort("dst", kWrite, layouts.dst)};
  if (workspace_bytes > 0) ports.push_back(BytesPort("workspace", kWrite, workspace_bytes));
  return ports;
}

std::vector<Port> PoolBackwardPorts(const PoolLayouts& layouts, size_t workspace_bytes) {
  std::vector<Port> ports = {TensorPort("diff_dst", kRead, layouts.dst)};
  if (workspace_bytes > 0) ports.push_back(BytesPort("workspace", kRead, workspace_bytes));
  ports.push_back(TensorPort("diff_src", kWrite, layouts.src));
  return ports;
}

std::vector<Port> ActivationForwardPorts(const Layout& data) {
  return {TensorPort("src", kRead, data), TensorPort("dst", kWrite, data, 0)};
}

std::vector<Port> ActivationBackwardPorts(const Layout& data) {
  return {TensorPort("dst", kRead, data), TensorPort("diff_dst", kRead, data),
          TensorPort("diff_src", kWrite, data, 1)};
}

std::vector<Port> AddPorts(const Layout& data) {
  return {TensorPort("a", kRead, data), TensorPort("b", kRead, data),
          TensorPort("dst", kWrite, data, 0)};
}

}  // namespace weft::kernel
