#pragma once
// Send order: which messages with a payload leave first where several wait for one connection.
//
// No step ends before all of its updates are in, but the next one can begin with the first layers'
// parameters. So updates, and what standbys get of them, go ahead of parameters, and parameters of
// lower ranges ahead of those of higher ones. All else keeps its place.
//
// Source: Jayarajan et al. 2019, Priority-based Parameter Propagation for Distributed DNN Training
// (parameters in the order of their use).

#include <cstdint>

#include "cluster/message.h"

namespace weft::cluster {

struct SendOrder {
  enum class Kind { kUpdate, kParameters, kOther };
  Kind kind = Kind::kOther;
  int64_t begin = 0;  // of the range
};

SendOrder SendOrderOf(const Message& message);

// Whether what was to be sent later goes ahead of what waits already. Never of messages of one
// range and kind.
bool Overtakes(const SendOrder& later, const SendOrder& earlier);

}  // namespace weft::cluster
