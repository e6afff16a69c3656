#pragma once
// cluster::Envelope to its protobuf form (proto/weft.proto) and back, payload apart: payloads
// travel in the frames around it (sender.h, reassembler.h).

#include "base/status.h"
#include "cluster/message.h"

namespace weft::v1 {
class Envelope;
}

namespace weft::net {

// The payload slot of a message, or null for the kinds that carry none.
cluster::Payload* PayloadOf(cluster::Message* message);
const cluster::Payload* PayloadOf(const cluster::Message& message);

// Leaves the payload out. Text that is not UTF-8 gets '?' for the bad bytes: better a garbled name
// in an error report than no report.
// Errors: kInvalidArgument for a text, list or whole message above its limit (limits.h) or a code
// or role that does not exist; `*out` is then unspecified.
Status EncodeEnvelope(const cluster::Envelope& envelope, v1::Envelope* out);

// The reverse; the payload is null. What decodes here is well-formed, not yet sensible: that a
// lease exists or a device is known is for the state machines to say.
// Errors: kInvalidArgument: no kind or an unknown one, unknown role or code, above a limit.
Result<cluster::Envelope> DecodeEnvelope(const v1::Envelope& in);

}  // namespace weft::net
