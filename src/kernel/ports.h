#pragma once
// Ports of each operation in the order that backend.h documents, written once for all backends. The
// layouts are what the implementation wants or makes; byte sizes of workspaces are its own.

#include <string>
#include <vector>

#include "kernel/op.h"

namespace weft::kernel {

Port TensorPort(std::string name, Access access, const Layout& layout, int may_overwrite = -1);
Port BytesPort(std::string name, Access access, size_t bytes);

// Convolution and linear; a bias or diff_bias is a plain vector of the outermost extent of the
// weights.
struct WeightedLayouts {
  Layout src;  // or diff_src
  Layout weights;
  Layout dst;  // or diff_dst
  bool bias = false;
};
std::vector<Port> WeightedForwardPorts(const WeightedLayouts& layouts);
std::vector<Port> WeightedBackwardDataPorts(const WeightedLayouts& layouts);
std::vector<Port> WeightedBackwardWeightsPorts(const WeightedLayouts& layouts);

// `data` is the layout of src, dst and their gradients; no workspace if its size is 0.
std::vector<Port> BatchnormForwardPorts(const Layout& data, size_t workspace_bytes);
std::vector<Port> BatchnormInferencePorts(const Layout& data);
std::vector<Port> BatchnormBackwardPorts(const Layout& data, size_t workspace_bytes);

struct PoolLayouts {
  Layout src;  // or diff_src
  Layout dst;  // or diff_dst
};
std::vector<Port> PoolForwardPorts(const PoolLayouts& layouts, size_t workspace_bytes);
std::vector<Port> PoolBackwardPorts(const PoolLayouts& layouts, size_t workspace_bytes);

std::vector<Port> ActivationForwardPorts(const Layout& data);
std::vector<Port> ActivationBackwardPorts(const Layout& data);
std::vector<Port> AddPorts(const Layout& data);

}  // namespace weft::kernel
