#pragma once
// IDX: the format of MNIST and its relatives, big-endian.
//
//   0  u8 0, u8 0, u8 type (0x08: unsigned bytes), u8 rank
//   4  u32 extent of each of `rank` dimensions
//   .  the values, row major
//
// Source: Y. LeCun, C. Cortes, "The MNIST database", section "File formats".

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "data/dataset.h"
#include "data/source.h"

namespace weft::data {

struct IdxArray {
  std::vector<int64_t> dims;
  Bytes values;
};

// Reads a whole file of unsigned bytes with `rank` dimensions (3: images, 1: labels), plain or
// gzipped; the content says which. Holds at most what the header promises, and a byte.
// Errors: kDataLoss naming `name`: wrong magic number, an extent of 0, truncated or too long.
Result<IdxArray> ParseIdx(ByteView file, int rank, const std::string& name);

// "idx:DIR" holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
// t10k-labels-idx1-ubyte, each plain or with .gz; "images.idx3" for "images-idx3" is accepted.
// Classes: 1 + the largest label of the training split (2 at least), also for the test split;
// "idx:DIR?classes=10" fixes it.
// Errors: as OpenDataset.
Result<std::unique_ptr<Dataset>> OpenIdx(const Source& source, bool train);

}  // namespace weft::data
