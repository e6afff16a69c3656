#pragma once
// Which clips of a sound folder are for training and which for testing: lists of files, and the
// rule that keeps all clips of a speaker on one side.
// Source: Warden 2018, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", and
// the README of that data set (validation_list.txt, testing_list.txt, which_set).

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace weft::data {

// One clip of the layout "one folder a class".
struct WavName {
  std::string folder;  // the class
  std::string file;    // "0a7c2a8d_nohash_0.wav"
  auto operator<=>(const WavName&) const = default;
};

// A list: one "folder/file.wav" a line, each once; empty lines count for nothing, and nothing in it
// leads out of the data folder.
// Errors: kDataLoss naming `name` and the line.
Result<std::vector<WavName>> ParseWavList(std::string_view text, const std::string& name);

enum class WavPart { kTrain, kValidation, kTest };

// By speaker, the name before "_nohash_" (without it, all of the name): SHA-1 of it modulo 2^27, as
// a share of 2^27 - 1; below a tenth is validation, below two tenths test.
WavPart PartOfSpeaker(std::string_view file);

}  // namespace weft::data
