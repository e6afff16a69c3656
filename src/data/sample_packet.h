#pragma once
// Sample packet: samples of a source, before normalisation and augmentation, as bytes.
//
//   u32 magic | u32 kind | u32 samples n | u32 values a sample m
//   | n x i32 label | n x m values | u32 CRC32C of all before it
//
// Values are u8 where every one is k / 255 for some k of 0..255, as those of pictures are, and f32
// otherwise; either way they come back bit for bit. Which samples they are stands beside the
// packet.

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/status.h"
#include "data/dataset.h"

namespace weft::data {

// Appends a packet of the samples, in order.
//   source   as opened: without decorators that draw at random
//   indices  each in 0..size-1; any number below 2^32
// Threads: any.
void EncodeSamples(const Dataset& source, std::span<const int64_t> indices, Bytes* packet);

// Bytes that one sample takes in a packet: its label and values, by the kind of the first few.
int64_t PacketBytesOfSample(const Dataset& source);

// A checked packet; reads from bytes that it does not own, and takes no memory of its own.
class SamplePacket {
 public:
  // Errors: kDataLoss if the bytes are not a whole packet (says what is wrong).
  static Result<SamplePacket> Open(ByteView bytes);

  int64_t samples() const { return samples_; }
  int64_t values() const { return values_; }  // of a sample
  bool one_byte_a_value() const { return kind_ == Kind::kByte; }
  // `at`: 0..samples-1.
  int32_t label(int64_t at) const;
  // The values of a sample as they stand in the packet.
  ByteView raw(int64_t at) const;

 private:
  friend void EncodeSamples(const Dataset&, std::span<const int64_t>, Bytes*);
  enum class Kind : uint32_t { kByte = 0, kFloat = 1 };

  Kind kind_ = Kind::kByte;
  int64_t samples_ = 0;
  int64_t values_ = 0;
  ByteView labels_;
  ByteView body_;
};

// Values as they stand in a packet, one byte or four each, as f32.
void ReadPacketValues(ByteView raw, std::span<float> values);

}  // namespace weft::data
