#pragma once
// Wire sizes: how many bytes a message is on a link, in the framing of gRPC over TCP over Ethernet.

#include <cstdint>

#include "cluster/message.h"
#include "sim/options.h"

namespace weft::sim {

// TCP payload of a full Ethernet packet: 1500 less 20 (IPv4), 20 (TCP) and 12 (timestamps).
inline constexpr int64_t kSegmentBytes = 1448;
// A packet's share that is not payload: those 52 and 14 of Ethernet. Preamble, checksum and gap (24
// more) count on the cable but not where rates are set (tc, wifi, access lines).
inline constexpr int64_t kPacketHeader = 66;

// Travels in pieces, behind others of its kind; all other messages slip between.
bool HasPayload(const cluster::Message& message);

// Bytes that TCP is given for a message: protobuf, gRPC and HTTP/2 framing included.
int64_t StreamBytes(const cluster::Message& message, const WireOptions& wire);

// Packets that carry so many bytes of a stream.
constexpr int64_t Packets(int64_t stream_bytes) {
  return (stream_bytes + kSegmentBytes - 1) / kSegmentBytes;
}

// Bytes on a link for so many of a stream.
constexpr int64_t LinkBytes(int64_t stream_bytes) {
  return stream_bytes + kPacketHeader * Packets(stream_bytes);
}

// Bytes of the acknowledgements that go back for them: one packet for every two (RFC 5681, 4.2).
constexpr int64_t AckBytes(int64_t stream_bytes) {
  return kPacketHeader * ((Packets(stream_bytes) + 1) / 2);
}

}  // namespace weft::sim
