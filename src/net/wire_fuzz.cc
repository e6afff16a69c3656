// Bytes as a peer may send them: frames, each a u16 length and that many bytes of protobuf.
// Whatever they are, the reassembler holds no more than its limit and a multiple of what came, and
// what it accepts can be said again.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/check.h"
#include "net/reassembler.h"
#include "net/transport.h"
#include "net/wire.h"
#include "proto/weft.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using weft::net::Reassembler;
  weft::net::RouteLibraryLogs();  // bad UTF-8 is to be expected here
  const weft::net::SessionOptions options{.max_payload_bytes = 1 << 16, .max_open_messages = 3};
  Reassembler reassembler(options);
  weft::base::ByteReader reader({data, size});
  uint16_t length = 0;
  weft::ByteView bytes;
  while (reader.Get(&length).ok() && reader.GetRaw(length, &bytes).ok()) {
    weft::v1::Frame frame;
    if (!frame.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return 0;
    const auto message = reassembler.Add(frame);
    if (!message.ok()) return 0;
    CHECK_LE(reassembler.reserved_bytes(), options.max_payload_bytes);
    if (message->has_value()) {
      weft::v1::Envelope encoded;
      const weft::Status status = weft::net::EncodeEnvelope(**message, &encoded);
      CHECK(status.ok()) << status.ToString();
      CHECK(weft::net::DecodeEnvelope(encoded).ok());
    }
  }
  return 0;
}
