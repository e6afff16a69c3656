#include "codec/update_reader.h"

#include <algorithm>
#include <array>
#include <vector>

#include "codec/low_rank.h"
#include "codec/selection.h"
#include "codec/ternary.h"
#include "codec/update_frame.h"

namespace weft::codec {
namespace {

// Values of one run of Quantise, taken from the input.
Status ReadRun(ValueKind kind, base::ByteReader* in, std::span<float> values) {
  ByteView bytes;
  RETURN_IF_ERROR(in->GetRaw(QuantisedBytes(kind, values.size()), &bytes));
  return Dequantise(kind, bytes, values);
}

class BodyReader {
 public:
  BodyReader(const PieceWalk& pieces, ByteView body, const ValueSink& sink)
      : pieces_(pieces), body_(body), in_(body), sink_(sink) {}

  Status Read() {
    for (size_t i = 0; i < kTensorClasses; ++i) {
      const auto which = static_cast<TensorClass>(i);
      if (!pieces_.Has(which)) continue;
      Form form;
      RETURN_IF_ERROR(GetForm(&in_, &form));
      RETURN_IF_ERROR(ReadClass(which, form));
    }
    if (in_.remaining() == 0) return OkStatus();
    return DataLoss("update: more bytes than values");
  }

 private:
  Status ReadClass(TensorClass which, const Form& form) {
    switch (form.layout) {
      case Layout::kWhole:
        return ReadWhole(which, form);
      case Layout::kSparse:
        return ReadSparse(which, form);
      case Layout::kTernary:
        return ReadTernaries(which, form);
      case Layout::kLowRank:
        return pieces_.ForEach(which, [&](const Piece& piece) { return ReadMatrix(piece); });
    }
    return DataLoss("update: unknown layout");
  }

  Status ReadChunk(ValueKind kind, size_t begin, size_t count) {
    const std::span<float> values = std::span(group_.sent).first(count);
    RETURN_IF_ERROR(ReadRun(kind, &in_, values));
    sink_.Put(begin, values);
    return OkStatus();
  }

  Status ReadWhole(TensorClass which, const Form& form) {
    return pieces_.ForEach(which, [&](const Piece& piece) {
      return ForEachChunk(
          piece, [&](size_t begin, size_t count) { return ReadChunk(form.kind, begin, count); });
    });
  }

  Status ReadSparse(TensorClass which, const Form& form) {
    uint64_t chunks = 0;
    const auto read_chunk = [&](size_t begin, size_t count) {
      if (!form.HasTurn(chunks++)) return ReadPositions(form.kind, begin, count);
      RETURN_IF_ERROR(EndGroup(form.kind));
      return ReadChunk(ValueKind::kInt8, begin, count);
    };
    const Status status = pieces_.ForEach(which, [&](const Piece& piece) {
      RETURN_IF_ERROR(ForEachChunk(piece, read_chunk));
      return form.joined ? OkStatus() : EndGroup(form.kind);
    });
    RETURN_IF_ERROR(status);
    return EndGroup(form.kind);
  }

  Status ReadPositions(ValueKind kind, size_t begin, size_t count) {
    if (!group_.open) bits_ = BitReader(body_.subspan(in_.position()));
    RETURN_IF_ERROR(UnpackPositions(count, &bits_, &positions_));
    group_.Add(positions_, begin);
    return group_.full() ? EndGroup(kind) : OkStatus();
  }

  Status EndGroup(ValueKind kind) {
    if (!group_.open) return OkStatus();
    bits_.Align();
    if (bits_.failed()) return DataLoss("update: positions are not followed by zeros");
    ByteView packed;
    RETURN_IF_ERROR(in_.GetRaw(bits_.position() / 8, &packed));
    for (size_t done = 0; done < group_.size; done += kMaxChunkValues) {
      const size_t n = std::min(kMaxChunkValues, group_.size - done);
      RETURN_IF_ERROR(ReadRun(kind, &in_, std::span(group_.values).subspan(done, n)));
    }
    sink_.Put(std::span(group_.at).first(group_.size), std::span(group_.values).first(group_.size));
    group_.size = 0;
    group_.open = false;
    return OkStatus();
  }

  Status ReadTernaries(TensorClass which, const Form& form) {
    uint64_t chunks = 0;
    const auto read_chunk = [&](size_t begin, size_t count) {
      if (form.HasTurn(chunks++)) return ReadChunk(ValueKind::kInt8, begin, count);
      const std::span<float> values = std::span(group_.sent).first(count);
      size_t used = 0;
      RETURN_IF_ERROR(ReadTernary(body_.subspan(in_.position()), values, &positions_, &used));
      ByteView read;
      RETURN_IF_ERROR(in_.GetRaw(used, &read));
      sink_.Put(begin, values);
      return OkStatus();
    };
    return pieces_.ForEach(which,
                           [&](const Piece& piece) { return ForEachChunk(piece, read_chunk); });
  }

  Status ReadMatrix(const Piece& piece) {
    uint8_t rank = 0;
    RETURN_IF_ERROR(in_.Get(&rank));
    if (rank > kMostRank) return DataLoss("update: rank above the most");
    if (rank == 0) {
      return ForEachChunk(piece, [&](size_t begin, size_t count) {
        return ReadChunk(ValueKind::kInt8, begin, count);
      });
    }
    const Matrix matrix = MatrixOf(piece, pieces_.begin());
    ByteView factors;
    RETURN_IF_ERROR(in_.GetRaw(1 + FactorBytes(matrix, rank), &factors));
    ASSIGN_OR_RETURN(const FactorProduct product, FactorProduct::Open(matrix, rank, factors));
    if (sink_.mode == ValueSink::Mode::kCheck) return OkStatus();
    product.ForEachStretch([&](size_t begin, std::span<const float> values) {
      sink_.Put(piece.begin + begin, values);
    });
    return OkStatus();
  }

  const PieceWalk& pieces_;
  ByteView body_;
  base::ByteReader in_;
  BitReader bits_{ByteView()};  // of the open group
  const ValueSink& sink_;
  std::vector<uint16_t> positions_;
  Group group_;
};

}  // namespace

void ValueSink::Put(size_t begin, std::span<const float> read) const {
  if (mode == Mode::kCheck) return;
  const std::span<float> out = values.subspan(begin, read.size());
  if (mode == Mode::kWrite) {
    std::copy(read.begin(), read.end(), out.begin());
  } else {
    for (size_t i = 0; i < read.size(); ++i) out[i] += weight * read[i];
  }
}

void ValueSink::Put(std::span<const uint32_t> at, std::span<const float> read) const {
  if (mode == Mode::kCheck) return;
  if (mode == Mode::kWrite) {
    for (size_t i = 0; i < read.size(); ++i) values[at[i]] = read[i];
  } else {
    for (size_t i = 0; i < read.size(); ++i) values[at[i]] += weight * read[i];
  }
}

Status ReadUpdate(const PieceWalk& pieces, ByteView body, const ValueSink& sink) {
  return BodyReader(pieces, body, sink).Read();
}

}  // namespace weft::codec
