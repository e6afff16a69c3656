#include "data/wav.h"

#include <fmt/format.h>
#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

namespace weft::data {
namespace {

constexpr size_t kRiffHeader = 12;  // "RIFF", bytes that follow (little endian), "WAVE"
constexpr float kLoudest = 1e6f;    // squares of it, summed over a window, are far from overflow

// A file in memory, as libsndfile sees it.
struct Stream {
  ByteView bytes;
  sf_count_t at = 0;

  static Stream& Of(void* self) { return *static_cast<Stream*>(self); }
  static sf_count_t Size(void* self) { return std::ssize(Of(self).bytes); }
  static sf_count_t Tell(void* self) { return Of(self).at; }
  static sf_count_t Seek(sf_count_t offset, int whence, void* self) {
    Stream& stream = Of(self);
    const sf_count_t size = Size(self);
    sf_count_t from = 0;
    if (whence == SEEK_CUR) from = stream.at;
    if (whence == SEEK_END) from = size;
    stream.at = from + std::clamp(offset, -from, size - from);
    return stream.at;
  }
  static sf_count_t Read(void* to, sf_count_t count, void* self) {
    Stream& stream = Of(self);
    const sf_count_t n = std::clamp<sf_count_t>(count, 0, Size(self) - stream.at);
    if (n > 0) std::memcpy(to, stream.bytes.data() + stream.at, static_cast<size_t>(n));
    stream.at += n;
    return n;
  }
};

struct CloseSound {
  void operator()(SNDFILE* sound) const { sf_close(sound); }
};
using SoundFile = std::unique_ptr<SNDFILE, CloseSound>;

Status CheckRiff(ByteView file, const std::string& name) {
  const bool wave = file.size() >= kRiffHeader && std::memcmp(file.data(), "RIFF", 4) == 0 &&
                    std::memcmp(file.data() + 8, "WAVE", 4) == 0;
  if (!wave) return base::DataLoss(name + ": is no WAV file, want one that begins RIFF....WAVE");
  uint64_t promised = 8;
  for (int i = 0; i < 4; ++i) promised += uint64_t{file[4 + i]} << (8 * i);
  if (promised <= file.size()) return OkStatus();
  return base::DataLoss(fmt::format("{}: truncated: got {} bytes, want the {} of its header", name,
                                    file.size(), promised));
}

Status CheckFormat(const SF_INFO& info, const WavOptions& options, const std::string& name) {
  const int encoding = info.format & SF_FORMAT_SUBMASK;
  if (encoding != SF_FORMAT_PCM_16 && encoding != SF_FORMAT_FLOAT) {
    SF_FORMAT_INFO got{.format = encoding, .name = nullptr, .extension = nullptr};
    const bool known = sf_command(nullptr, SFC_GET_FORMAT_INFO, &got, sizeof(got)) == 0;
    return base::DataLoss(fmt::format("{}: encoding: got {}, want 16-bit PCM or 32-bit float", name,
                                      known ? got.name : "another"));
  }
  if (info.samplerate != options.rate) {
    return base::DataLoss(
        fmt::format("{}: rate: got {} samples a second, want {}; convert the "
                    "file, or set rate={} if all files have it",
                    name, info.samplerate, options.rate, info.samplerate));
  }
  if (info.frames < 1) return base::DataLoss(name + ": holds no samples");
  return OkStatus();
}

// channels: (frames, channels) -> their means, appended.
void AppendMono(const std::vector<float>& channels, size_t frames, std::vector<float>* mono) {
  const size_t width = channels.size() / frames;
  for (size_t frame = 0; frame < frames; ++frame) {
    double sum = 0;
    for (size_t i = 0; i < width; ++i) sum += channels[frame * width + i];
    mono->push_back(static_cast<float>(sum / static_cast<double>(width)));
  }
}

}  // namespace

Result<std::vector<float>> DecodeWav(ByteView file, const WavOptions& options,
                                     const std::string& name) {
  RETURN_IF_ERROR(CheckRiff(file, name));
  Stream stream{file};
  SF_VIRTUAL_IO io{Stream::Size, Stream::Seek, Stream::Read, nullptr, Stream::Tell};
  SF_INFO info{};
  const SoundFile sound(sf_open_virtual(&io, SFM_READ, &info, &stream));
  if (sound == nullptr) {
    return base::DataLoss(
        fmt::format("{}: is no WAV file that can be read: {}", name, sf_strerror(nullptr)));
  }
  RETURN_IF_ERROR(CheckFormat(info, options, name));

  // In pieces: the number of frames and channels is only what the header says.
  constexpr int64_t kPiece = 1024;
  std::vector<float> mono;
  std::vector<float> piece;
  while (std::ssize(mono) < options.max_samples) {
    const int64_t want = std::min(kPiece, options.max_samples - std::ssize(mono));
    piece.resize(static_cast<size_t>(want * info.channels));
    const sf_count_t got = sf_readf_float(sound.get(), piece.data(), want);
    if (got <= 0) break;
    piece.resize(static_cast<size_t>(got * info.channels));
    AppendMono(piece, static_cast<size_t>(got), &mono);
  }
  if (mono.empty()) return base::DataLoss(name + ": holds no samples");
  for (size_t i = 0; i < mono.size(); ++i) {
    if (std::abs(mono[i]) <= kLoudest) continue;
    return base::DataLoss(fmt::format("{}: sample {}: got {}, want a number within +-{}", name, i,
                                      mono[i], kLoudest));
  }
  return mono;
}

}  // namespace weft::data
