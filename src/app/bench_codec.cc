#include "app/bench_codec.h"

#include <malloc.h>

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/rng.h"

namespace weft::app {
namespace {

constexpr size_t kLeastCalls = 5;

std::vector<float> HeavyTailed(int64_t count) {
  base::Rng rng(1);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    value = static_cast<float>(1e-3 * rng.NextNormal() * std::exp2(rng.NextUniform(-4, 0)));
  }
  return values;
}

int64_t RowsOf(int64_t values) {
  auto rows = static_cast<int64_t>(std::sqrt(static_cast<double>(values)));
  while (values % rows != 0) --rows;
  return rows;
}

int64_t AllocatedBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<int64_t>(info.uordblks + info.hblkhd);
}

// Median of the thread's own seconds in a call, for at least `seconds` in all.
template <class Call>
Result<double> MedianOf(double seconds, Call call) {
  std::vector<double> times;
  double spent = 0;
  while (spent < seconds || times.size() < kLeastCalls) {
    const TimePoint start = base::ThreadCpuNow();
    RETURN_IF_ERROR(call());
    times.push_back(base::Seconds(base::ThreadCpuNow() - start));
    spent += times.back();
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

double RelativeError(const std::vector<float>& values, const std::vector<float>& sent) {
  double error = 0;
  double whole = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    error += std::pow(double{values[i]} - sent[i], 2);
    whole += std::pow(double{values[i]}, 2);
  }
  return error / whole;
}

Result<BenchCodecResult> BenchOne(const codec::CodecOptions& codec_options,
                                  const std::vector<float>& values, double seconds) {
  BenchCodecResult result;
  result.name = codec_options.name;
  std::vector<float> residual(values.size());
  std::vector<float> sum(values.size());
  Bytes packet;
  const int64_t allocated = AllocatedBytes();
  ASSIGN_OR_RETURN(const auto codec, codec::MakeCodec(codec_options));
  const double gigabytes = static_cast<double>(values.size() * sizeof(float)) * 1e-9;
  const codec::Place place;
  RETURN_IF_ERROR(codec->Encode(values, residual, &packet));
  RETURN_IF_ERROR(codec->Decode(packet, sum));
  result.error = RelativeError(values, sum);
  const auto encode = [&] {
    packet.clear();
    return codec->Encode(values, residual, &packet);
  };
  ASSIGN_OR_RETURN(const double encode_seconds, MedianOf(seconds, encode));
  result.encoder_bytes =
      std::max<int64_t>(0, AllocatedBytes() - allocated - static_cast<int64_t>(packet.capacity()));
  const auto add = [&] { return codec->Add(place, packet, 0.125f, sum); };
  ASSIGN_OR_RETURN(const double add_seconds, MedianOf(seconds, add));
  result.encode_gbps = gigabytes / encode_seconds;
  result.add_gbps = gigabytes / add_seconds;
  result.bytes = static_cast<int64_t>(packet.size());
  result.ratio = gigabytes * 1e9 / static_cast<double>(packet.size());
  return result;
}

}  // namespace

Result<std::vector<BenchCodecResult>> BenchCodecs(const BenchCodecOptions& options) {
  if (options.values < 1) return InvalidArgument("bench codec: want at least one value");
  const std::vector<float> values = HeavyTailed(options.values);
  const std::vector<std::string> names =
      options.name.empty() ? codec::CodecNames() : std::vector<std::string>{options.name};
  std::vector<BenchCodecResult> results;
  for (const std::string& name : names) {
    codec::CodecOptions codec_options;
    codec_options.name = name;
    codec_options.tensors = {{.count = options.values, .rows = RowsOf(options.values)}};
    if (codec::Selects(codec_options)) {
      codec_options.density = options.density;
      codec_options.values = options.kind;
    }
    ASSIGN_OR_RETURN(BenchCodecResult result, BenchOne(codec_options, values, options.seconds));
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace weft::app
