#include "plan/device_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace weft::plan {
namespace {

using testing::HasSubstr;

DeviceProfile Example() {
  DeviceProfile profile;
  profile.weft = "weft 0.1.0";
  profile.onednn = "2.6.3";
  profile.measured = "2026-01-31T12:34:56Z";
  profile.host = "mini \"3\"";
  profile.cpu = "a CPU";
  profile.simd = "AVX2";
  profile.kernels = "auto";
  profile.cores = 4;
  profile.threads = 2;
  profile.seconds = 14.25;
  profile.busy_share = 0.125;
  profile.cache_bytes = 8 << 20;
  profile.memory_bytes = 16e9;
  profile.memory_available_bytes = 12e9;
  profile.memory_gbps = 20.5;
  profile.cache_gbps = 80;
  profile.sgemm_gflops = 100;
  profile.disk_write_mbps = 300;
  profile.disk_read_mbps = 0;
  profile.process_bytes = 3e7;
  profile.conv_bytes = 4e6;
  profile.op_bytes = 2e4;
  OpSize conv;
  conv.kind = OpKind::kConvForward;
  conv.work = 1.5e9;
  conv.bytes = 3e6;
  conv.batch = 32;
  conv.in = 64;
  conv.out = 128;
  conv.pixels = 256;
  conv.window = 9;
  conv.reuse = 1e6;
  OpSize update;
  update.kind = OpKind::kUpdate;
  update.work = update.bytes = 1e7;
  profile.points = {{conv, 12345.5}, {update, 0.1}};
  return profile;
}

// The example with one piece of its text replaced.
Status ReadWith(const std::string& from, const std::string& to) {
  std::string text = Example().ToJson();
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  return DeviceProfile::FromJson(text, "p.json").status();
}

TEST(DeviceProfile, ReadsWhatItWrote) {
  const Result<DeviceProfile> read = DeviceProfile::FromJson(Example().ToJson(), "p.json");
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(*read, Example());
}

TEST(DeviceProfile, AnotherVersionSaysToMeasureAnew) {
  for (const char* version : {"\"version\": 0", "\"version\": 2", "\"version\": \"1\""}) {
    const Status status = ReadWith("\"version\": 1", version);
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr("want 1; measure this device anew"));
  }
}

TEST(DeviceProfile, AnotherFileSaysWhatMakesOne) {
  for (const char* text : {"{}", "[]", "3", "{\"format\": \"other\", \"version\": 1}"}) {
    const Status status = DeviceProfile::FromJson(text, "p.json").status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << text;
    EXPECT_THAT(status.message(), HasSubstr("p.json")) << text;
    EXPECT_THAT(status.message(), HasSubstr("`weft profile` makes one")) << text;
  }
}

TEST(DeviceProfile, RefusesHostileFilesWithTheField) {
  const struct {
    const char *from, *to, *says;
  } cases[] = {
      {"\"cores\"", "\"coers\"", "cores"},
      {"\"cores\": 4", "\"cores\": 4, \"spare\": 1", "spare"},
      {"\"threads\": 2", "\"threads\": 0", "threads"},
      {"\"threads\": 2", "\"threads\": 1e300", "threads"},
      {"\"memory_gbps\": 20.5", "\"memory_gbps\": -1", "memory_gbps"},
      {"\"memory_gbps\": 20.5", "\"memory_gbps\": \"fast\"", "memory_gbps"},
      {"\"us\":12345.5", "\"us\":0", "us"},
      {"\"us\":12345.5", "\"us\":1e300", "us"},
      {",\"us\":12345.5", "", "us"},
      {"\"work\":1500000000.0", "\"work\":-5", "work"},
      {"\"op\":\"conv forward\"", "\"op\":\"conv forwards\"", "did you mean \"conv forward\""},
      {"\"op\":\"conv forward\",", "", "op"},
      {"\"op\":\"update\"", "\"op\":7", "op"},
      {"\"batch\":32.0", "\"batches\":32.0", "batches"},
  };
  for (const auto& c : cases) {
    const Status status = ReadWith(c.from, c.to);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << c.from << " -> " << c.to;
    EXPECT_THAT(status.message(), HasSubstr(c.says)) << c.from << " -> " << c.to;
    EXPECT_THAT(status.message(), HasSubstr("p.json")) << c.from << " -> " << c.to;
  }
}

TEST(DeviceProfile, RefusesEveryTruncation) {
  const std::string text = Example().ToJson();
  for (size_t length = 0; length + 2 < text.size(); length += 7) {
    EXPECT_FALSE(DeviceProfile::FromJson(text.substr(0, length), "p.json").ok()) << length;
  }
}

TEST(DeviceProfile, WantsPoints) {
  DeviceProfile profile = Example();
  profile.points.clear();
  EXPECT_THAT(DeviceProfile::FromJson(profile.ToJson(), "p.json").status().message(),
              HasSubstr("points: want an array of 1.."));
}

}  // namespace
}  // namespace weft::plan
