#include "cluster/range_history.h"

#include <fmt/format.h>

#include <cstring>
#include <memory>

#include "base/check.h"
#include "base/hash.h"

namespace weft::cluster {
namespace {

constexpr size_t kChecksumBytes = 4;
constexpr size_t kLeaseBytes = 6 * 8 + 4;

void Put(const Lease& lease, DeviceId device, base::ByteWriter* out) {
  out->Put(lease.id);
  out->Put(lease.step);
  out->Put(lease.epoch);
  out->Put(lease.slot);
  out->Put(lease.begin);
  out->Put(lease.count);
  out->Put(device);
}

void Put(const Committed& record, base::ByteWriter* out) {
  CHECK_EQ(record.leases.size(), record.devices.size());
  out->Put(record.step);
  out->Put(record.version);
  out->Put(record.loss_sum);
  out->Put(record.correct);
  out->Put(record.samples);
  out->Put(record.gradient_norm);
  out->Put(static_cast<uint32_t>(record.leases.size()));
  for (size_t i = 0; i < record.leases.size(); ++i) Put(record.leases[i], record.devices[i], out);
}

Status Get(base::ByteReader* in, Lease* lease, DeviceId* device) {
  RETURN_IF_ERROR(in->Get(&lease->id));
  RETURN_IF_ERROR(in->Get(&lease->step));
  RETURN_IF_ERROR(in->Get(&lease->epoch));
  RETURN_IF_ERROR(in->Get(&lease->slot));
  RETURN_IF_ERROR(in->Get(&lease->begin));
  RETURN_IF_ERROR(in->Get(&lease->count));
  return in->Get(device);
}

Status Get(base::ByteReader* in, Committed* record) {
  RETURN_IF_ERROR(in->Get(&record->step));
  RETURN_IF_ERROR(in->Get(&record->version));
  RETURN_IF_ERROR(in->Get(&record->loss_sum));
  RETURN_IF_ERROR(in->Get(&record->correct));
  RETURN_IF_ERROR(in->Get(&record->samples));
  RETURN_IF_ERROR(in->Get(&record->gradient_norm));
  uint32_t leases = 0;
  RETURN_IF_ERROR(in->Get(&leases));
  if (leases > in->remaining() / kLeaseBytes) {
    return base::DataLoss(fmt::format("range history: got a record of {} leases in {} bytes",
                                      leases, in->remaining()));
  }
  record->leases.resize(leases);
  record->devices.resize(leases);
  for (uint32_t i = 0; i < leases; ++i) {
    RETURN_IF_ERROR(Get(in, &record->leases[i], &record->devices[i]));
  }
  return OkStatus();
}

Status GetBefore(base::ByteReader* in, Payload* before) {
  uint64_t size = 0;
  RETURN_IF_ERROR(in->Get(&size));
  ByteView packet;
  RETURN_IF_ERROR(in->GetRaw(size, &packet));
  if (size > 0) *before = std::make_shared<Bytes>(packet.begin(), packet.end());
  return OkStatus();
}

}  // namespace

void EncodeRangeHistory(const RangeHistory& history, Bytes* bytes) {
  const size_t begin = bytes->size();
  base::ByteWriter out(bytes);
  out.Put(uint32_t{0});
  out.Put(static_cast<uint32_t>(history.records.size()));
  out.Put(uint64_t{history.before == nullptr ? 0 : history.before->size()});
  if (history.before != nullptr) out.PutRaw(*history.before);
  for (const Committed& record : history.records) Put(record, &out);
  const uint32_t checksum = base::Crc32c(ByteView(*bytes).subspan(begin + kChecksumBytes));
  std::memcpy(bytes->data() + begin, &checksum, sizeof(checksum));
}

Result<RangeHistory> DecodeRangeHistory(ByteView bytes) {
  base::ByteReader in(bytes);
  uint32_t checksum = 0, records = 0;
  RETURN_IF_ERROR(in.Get(&checksum));
  RETURN_IF_ERROR(in.Get(&records));
  const uint32_t right = base::Crc32c(bytes.subspan(kChecksumBytes));
  if (checksum != right) {
    return base::DataLoss(fmt::format("range history: got checksum {}, want {}", checksum, right));
  }
  RangeHistory history;
  RETURN_IF_ERROR(GetBefore(&in, &history.before));
  for (uint32_t i = 0; i < records; ++i) {
    history.records.emplace_back();
    RETURN_IF_ERROR(Get(&in, &history.records.back()));
  }
  if (in.remaining() > 0) {
    return base::DataLoss(fmt::format("range history: got {} bytes too many", in.remaining()));
  }
  return history;
}

}  // namespace weft::cluster
