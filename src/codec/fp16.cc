#include "codec/fp16.h"

#include "codec/half.h"
#include "codec/packet.h"

namespace weft::codec {
namespace {

class Fp16 : public Codec {
 public:
  std::string name() const override { return "fp16"; }
  bool lossy() const override { return true; }
  size_t MaxBytes(size_t n) const override { return kHeaderBytes + n * sizeof(uint16_t); }

  Status Encode(const Place&, std::span<const float> values, const Carry& carry,
                Bytes* packet) override {
    const std::span<float> residual = carry.residual;
    RETURN_IF_ERROR(CheckResidual(values.size(), residual.size()));
    const size_t begin = packet->size();
    uint8_t* body =
        BeginPacket(CodecId::kFp16, values.size(), values.size() * sizeof(uint16_t), packet);
    HalvesFromFloats(values, residual, body);
    SealPacket(begin, packet);
    return OkStatus();
  }

  Status Decode(const Place&, ByteView packet, std::span<float> values) const override {
    RETURN_IF_ERROR(CheckPacketBytes(packet.size(), MaxBytes(values.size())));
    ASSIGN_OR_RETURN(const ByteView body, OpenPacket(CodecId::kFp16, values.size(), packet));
    FloatsFromHalves(body.data(), values);
    return OkStatus();
  }
};

}  // namespace

std::unique_ptr<Codec> MakeFp16() { return std::make_unique<Fp16>(); }

}  // namespace weft::codec
