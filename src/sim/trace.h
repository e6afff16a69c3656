#pragma once
// Trace: what of a message goes into the trace hash, and how it looks to a reader.

#include <cstdint>

#include "cluster/message.h"
#include "sim/loop.h"

namespace weft::sim {

// Of sender, receiver, kind and all ids and counts; not of texts and tensor bytes, of which only
// the presence counts, nor of floating-point values, which may differ between builds.
uint64_t DigestOf(const cluster::Envelope& envelope);

// Adds a message that arrives now to the loop's hash, and prints it if the loop is verbose.
//   route  tells apart the ways on which equal messages arrive, such as a connection
void TraceMessage(Loop* loop, uint64_t route, const cluster::Envelope& envelope);

}  // namespace weft::sim
