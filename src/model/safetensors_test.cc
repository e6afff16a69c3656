#include "model/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/rng.h"

namespace weft::model {
namespace {

using ::testing::HasSubstr;

// A file from its header's text and so many bytes of data.
Bytes FileOf(const std::string& header, size_t data_bytes) {
  Bytes file;
  base::ByteWriter writer(&file);
  writer.Put(static_cast<uint64_t>(header.size()));
  writer.PutRaw(base::AsBytes(header));
  file.resize(file.size() + data_bytes);
  return file;
}

std::string DecodeError(const Bytes& bytes) {
  const Status status = DecodeTensorFile(bytes).status();
  EXPECT_EQ(status.code(), Code::kDataLoss) << base::AsText(bytes);
  return status.message();
}
std::string HeaderError(const std::string& header, size_t data_bytes = 0) {
  return DecodeError(FileOf(header, data_bytes));
}

TEST(Safetensors, WritesTheseBytes) {
  const TensorFile file{.tensors = {{"b", Shape{2, 1}, {1.0f, -2.0f}}, {"a", Shape{}, {0.5f}}},
                        .metadata = {{"made by", "weft"}}};
  const std::string header = R"({"__metadata__":{"made by":"weft"},)"
                             R"("b":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
                             R"("a":{"dtype":"F32","shape":[],"data_offsets":[8,12]}})";
  ASSERT_EQ(header.size(), 143u);
  Bytes want;
  base::ByteWriter writer(&want);
  writer.PutRaw(Bytes{184, 0, 0, 0, 0, 0, 0, 0});  // 8 + 184 = 3 * 64
  writer.PutRaw(base::AsBytes(header));
  want.resize(192, ' ');
  writer.PutRaw(Bytes{0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0, 0, 0, 0, 0x3F});
  EXPECT_EQ(EncodeTensorFile(file), want);
}

TEST(Safetensors, ReadsBackWhatItWrote) {
  base::Rng rng(1);
  for (int round = 0; round < 200; ++round) {
    TensorFile file;
    for (uint64_t i = rng.NextBelow(6); i > 0; --i) {
      std::vector<int64_t> dims(rng.NextBelow(Shape::kMaxRank + 1));
      for (int64_t& dim : dims) dim = static_cast<int64_t>(rng.NextBelow(4));
      NamedTensor tensor{"tensor " + std::to_string(i), Shape(dims), {}};
      tensor.values.resize(static_cast<size_t>(tensor.shape.elements()));
      for (float& value : tensor.values) value = static_cast<float>(rng.NextNormal());
      file.tensors.push_back(std::move(tensor));
    }
    if (round % 2 == 0) file.metadata = {{"round", std::to_string(round)}, {"\"", "\n"}};
    const Bytes bytes = EncodeTensorFile(file);
    const Result<TensorFile> read = DecodeTensorFile(bytes);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(read->metadata, file.metadata);
    ASSERT_EQ(read->tensors.size(), file.tensors.size());
    for (size_t i = 0; i < file.tensors.size(); ++i) {
      EXPECT_EQ(read->tensors[i].name, file.tensors[i].name);
      EXPECT_EQ(read->tensors[i].shape, file.tensors[i].shape);
      EXPECT_EQ(read->tensors[i].values, file.tensors[i].values);
    }
  }
}

TEST(Safetensors, DataMayStandInAnotherOrderThanTheHeader) {
  Bytes bytes = FileOf(R"({"b":{"data_offsets":[4,8],"shape":[1],"dtype":"F32"},)"
                       R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  )",
                       0);
  base::ByteWriter writer(&bytes);
  writer.Put(1.0f);
  writer.Put(2.0f);
  const Result<TensorFile> file = DecodeTensorFile(bytes);
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_EQ(file->tensors[0].name, "b");
  EXPECT_EQ(file->tensors[0].values, std::vector<float>{2.0f});
  EXPECT_EQ(file->tensors[1].values, std::vector<float>{1.0f});
}

TEST(Safetensors, EveryCutOfAFileIsRefused) {
  const Bytes good = EncodeTensorFile({.tensors = {{"a", Shape{3}, {1, 2, 3}}}, .metadata = {}});
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(DecodeTensorFile(ByteView(good).first(size)).status().code(), Code::kDataLoss);
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_EQ(DecodeError(longer), "data: got 13 bytes, want 12 as the header says");
}

TEST(Safetensors, HeaderSizeIsCapped) {
  Bytes bytes(1000);
  const uint64_t huge = kMaxHeaderBytes + 1;
  std::memcpy(bytes.data(), &huge, sizeof(huge));
  EXPECT_EQ(DecodeError(bytes), "header: got 104857601 bytes, want at most 104857600");
}

TEST(Safetensors, HeaderMustBeJsonOfTheFormat) {
  EXPECT_THAT(HeaderError(""), HasSubstr("starting with '{'"));
  EXPECT_THAT(HeaderError(" {}"), HasSubstr("starting with '{'"));
  EXPECT_THAT(HeaderError("{"), HasSubstr("not valid JSON at byte"));
  EXPECT_THAT(HeaderError("{}{}"), HasSubstr("not valid JSON at byte"));
  EXPECT_THAT(HeaderError("{\"\xFF\":1}"), HasSubstr("not valid JSON at byte"));
  EXPECT_EQ(HeaderError(R"({"a":3})"), "header: got a number at \"a\", where none belongs");
  EXPECT_EQ(HeaderError(R"({"a":null})"), "header: got null at \"a\", where none belongs");
  EXPECT_EQ(HeaderError(R"({"a":[[1]]})"), "header: got an array at \"a\", where none belongs");
  EXPECT_EQ(HeaderError(R"({"a":{"dtype":{}}})"),
            "header: got an object at \"dtype\", where none belongs");
  EXPECT_EQ(HeaderError(R"({"a":{"shape":[-1]}})"),
            "header: got a negative number at \"shape\", where none belongs");
  EXPECT_EQ(HeaderError(R"({"a":{"shape":[[1]]}})"),
            "header: got an array at \"shape\", where none belongs");
  EXPECT_THAT(HeaderError(R"({"a":{"shape":[1.0]}})"), HasSubstr("no whole one"));
  EXPECT_THAT(HeaderError(R"({"a":{"shape":[18446744073709551616]}})"), HasSubstr("no whole one"));
  EXPECT_THAT(HeaderError(R"({"a":{"shape":[1e999]}})"), HasSubstr("not valid JSON"));
  EXPECT_EQ(HeaderError(R"({"a":{"size":3}})"),
            "header: \"a\": got key \"size\", want dtype, shape or data_offsets");
  EXPECT_EQ(HeaderError(R"({"a":{"dtype":"F32","shape":[]}})"),
            "header: \"a\": data_offsets is missing");
  EXPECT_EQ(HeaderError(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0]}})"),
            "header: \"a\": data_offsets: got 1 numbers, want 2");
  EXPECT_EQ(HeaderError(R"({"__metadata__":{"a":1}})"),
            "header: got a number at \"a\", where none belongs");
  EXPECT_THAT(HeaderError("{\"a\":" + std::string(100000, '{')), HasSubstr("header: "));
}

TEST(Safetensors, NamesStandOnce) {
  const std::string a = R"("a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  EXPECT_EQ(HeaderError("{" + a + "," + a + "}"), "header: \"a\" stands twice");
  EXPECT_EQ(HeaderError(R"({"a":{"dtype":"F32","dtype":"F32"}})"),
            "header: \"a\": \"dtype\" stands twice");
  EXPECT_EQ(HeaderError(R"({"__metadata__":{"k":"v","k":"w"}})"),
            "header: metadata \"k\" stands twice");
  EXPECT_EQ(HeaderError(R"({"__metadata__":{},"__metadata__":{}})"),
            "header: \"__metadata__\" stands twice");
  EXPECT_EQ(HeaderError(R"({"":{}})"), "header: a tensor without a name");
}

std::string Entry(const std::string& name, const std::string& shape, const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"F32\",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}";
}

TEST(Safetensors, ShapeMustFillItsBytes) {
  EXPECT_EQ(HeaderError("{" + Entry("a", "[2]", "[0,4]") + "}", 4),
            "tensor \"a\": data_offsets: got 0..4, want 8 bytes for shape 2");
  EXPECT_THAT(HeaderError("{" + Entry("a", "[1]", "[4,0]") + "}", 4), HasSubstr("got 4..0"));
  EXPECT_THAT(HeaderError("{" + Entry("a", "[1,1,1,1,1,1,1]", "[0,4]") + "}", 4),
              HasSubstr("got rank 7, want at most 6"));
  EXPECT_EQ(HeaderError(R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})", 4),
            "tensor \"a\": dtype: got F16, want F32");
}

// Products that overflow 64 bits must not come out small.
TEST(Safetensors, HugeShapesAreRefused) {
  for (const char* shape :
       {"[4294967296,4294967296]", "[9223372036854775808,2]", "[18446744073709551615]",
        "[2305843009213693952]", "[65536,65536,65536,65536]", "[0,9223372036854775808]"}) {
    EXPECT_THAT(HeaderError("{" + Entry("a", shape, "[0,0]") + "}"), HasSubstr("tensor \"a\""))
        << shape;
  }
}

TEST(Safetensors, OffsetsMustCoverTheData) {
  EXPECT_EQ(
      HeaderError("{" + Entry("a", "[2]", "[0,8]") + "," + Entry("b", "[2]", "[4,12]") + "}", 12),
      "tensor \"b\": data_offsets: got a start at 4, want 8 (overlap)");
  EXPECT_EQ(
      HeaderError("{" + Entry("a", "[1]", "[0,4]") + "," + Entry("b", "[1]", "[8,12]") + "}", 12),
      "tensor \"b\": data_offsets: got a start at 8, want 4 (hole)");
  EXPECT_EQ(HeaderError("{" + Entry("a", "[1]", "[4,8]") + "}", 8),
            "tensor \"a\": data_offsets: got a start at 4, want 0 (hole)");
  EXPECT_EQ(HeaderError("{" + Entry("a", "[2]", "[0,8]") + "}", 4),
            "data: got 4 bytes, want 8 as the header says");
  EXPECT_EQ(HeaderError("{}", 4), "data: got 4 bytes, want 0 as the header says");
}

TEST(Safetensors, MetadataThatIsNotUtf8DoesNotStopTheWriting) {
  const Bytes bytes = EncodeTensorFile({.tensors = {}, .metadata = {{"name", "\xFF"}}});
  EXPECT_TRUE(DecodeTensorFile(bytes).ok());
}

TEST(SafetensorsDeathTest, NamesMustDifferWhenWriting) {
  const NamedTensor tensor{"a", Shape{}, {1.0f}};
  EXPECT_DEATH(EncodeTensorFile({.tensors = {tensor, tensor}, .metadata = {}}),
               "tensor name \"a\"");
}

TEST(WeightsDigest, IsTheSha256OfTheBytes) {
  EXPECT_EQ(WeightsDigest({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const std::vector<float> weights = {1.0f, -2.0f};
  const std::vector<float> swapped = {-2.0f, 1.0f};
  EXPECT_NE(WeightsDigest(weights), WeightsDigest(swapped));
  EXPECT_EQ(WeightsDigest(weights).size(), 64u);
}

}  // namespace
}  // namespace weft::model
