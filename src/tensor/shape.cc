#include "tensor/shape.h"

namespace weft::tensor {

std::string Shape::ToString() const {
  std::string text;
  for (int i = 0; i < rank_; ++i) text += (i > 0 ? "x" : "") + std::to_string(dims_[i]);
  return text.empty() ? "scalar" : text;
}

}  // namespace weft::tensor
