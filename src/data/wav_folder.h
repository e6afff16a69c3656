#pragma once
// Sounds as a data set: a folder a class with WAV clips in it, as the Speech Commands set lays them
// out; a sample is the clip's MFCC or log-mel features, (1, frames, values).
// Source: Warden 2018, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition".

#include <memory>

#include "base/status.h"
#include "data/dataset.h"
#include "data/source.h"

namespace weft::data {

// "wav:DIR?key=value&..". Classes are the folders of DIR by name; `_background_noise_` (long
// recordings, no class) and names that begin with a dot are passed over. Clips are cut at clip_ms,
// shorter ones end in zeros.
//
//   list          a list of clips, in DIR, instead of the split below
//   features      mfcc (default) or logmel
//   rate 16000, clip_ms 1000, window_ms 40, stride_ms 20, mels 40, low_hz 20, high_hz 4000,
//   coefficients 10 (of mfcc)    see mfcc.h; these defaults give (1, 49, 10)
//
// The split without a list:
//   testing_list.txt in DIR: the test set is what it names, the training set every clip that
//     neither it nor validation_list.txt names
//   train.txt and test.txt in DIR: what they name
//   else by speaker, see PartOfSpeaker; clips of its validation part are left out
//
// The samples stand in a fixed order that mixes the classes, so that the first n are a fair part.
// Errors: as OpenDataset, and those of ParseWavList, DecodeWav and CheckMfccOptions.
Result<std::unique_ptr<Dataset>> OpenWav(const Source& source, bool train);

}  // namespace weft::data
