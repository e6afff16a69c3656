#pragma once
// Shape inference: what one layer makes of its inputs, and whether they fit.

#include <vector>

#include "base/status.h"
#include "model/graph.h"

namespace weft::model {

// The output shape of one sample. `layer.inputs` index `before`. Errors: kInvalidArgument with what
// was got and wanted (the caller adds file, line and layer).
Result<Shape> OutputShape(const Layer& layer, const std::vector<Layer>& before);

}  // namespace weft::model
