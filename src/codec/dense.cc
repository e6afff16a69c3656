#include "codec/dense.h"

#include <algorithm>
#include <cstring>

#include "codec/packet.h"

namespace weft::codec {
namespace {

class Dense : public Codec {
 public:
  std::string name() const override { return "dense"; }
  bool lossy() const override { return false; }
  size_t MaxBytes(size_t n) const override { return kHeaderBytes + n * sizeof(float); }

  Status Encode(const Place&, std::span<const float> values, const Carry& carry,
                Bytes* packet) override {
    const std::span<float> residual = carry.residual;
    RETURN_IF_ERROR(CheckResidual(values.size(), residual.size()));
    const size_t begin = packet->size();
    uint8_t* body = BeginPacket(CodecId::kDense, values.size(), values.size_bytes(), packet);
    if (!values.empty()) std::memcpy(body, values.data(), values.size_bytes());
    for (size_t i = 0; i < residual.size(); ++i) {
      const float sum = values[i] + residual[i];
      std::memcpy(body + i * sizeof(sum), &sum, sizeof(sum));
    }
    std::fill(residual.begin(), residual.end(), 0.0f);
    SealPacket(begin, packet);
    return OkStatus();
  }

  Status Decode(const Place&, ByteView packet, std::span<float> values) const override {
    RETURN_IF_ERROR(CheckPacketBytes(packet.size(), MaxBytes(values.size())));
    ASSIGN_OR_RETURN(const ByteView body, OpenPacket(CodecId::kDense, values.size(), packet));
    if (!values.empty()) std::memcpy(values.data(), body.data(), body.size());
    return OkStatus();
  }
};

}  // namespace

std::unique_ptr<Codec> MakeDense() { return std::make_unique<Dense>(); }

}  // namespace weft::codec
