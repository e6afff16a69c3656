#include "net/address.h"

#include <gtest/gtest.h>

namespace weft::net {
namespace {

Code CodeOf(std::string_view text, bool want_port = true) {
  return ParseHostPort("address", text, want_port).status().code();
}

TEST(Address, ParsesAndPrints) {
  for (const char* text : {"127.0.0.1:7070", "node-3.site:1", "[::1]:65535", "localhost:80"}) {
    const Result<HostPort> parsed = ParseHostPort("address", text, true);
    ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
    EXPECT_EQ(parsed->ToString(), text);
  }
  EXPECT_EQ(ParseHostPort("address", "[::1]:9", true)->host, "::1");
  EXPECT_EQ(ParseHostPort("listen", "0.0.0.0:0", false)->port, 0);
}

TEST(Address, RefusesTheRest) {
  for (const char* text :
       {"", "host", ":7070", "host:", "host:x", "host:1x", "host:-1", "::1:7070", "unix:/run/x:1",
        "http://host:1", "[::1:1", "host:65536", "host:99999999999", "host:0", "[]:1"}) {
    EXPECT_EQ(CodeOf(text), Code::kInvalidArgument) << text;
  }
}

TEST(Address, SaysWhyListeningFails) {
  EXPECT_EQ(ExplainListenFailure({"192.0.2.1", 7070}).code(), Code::kInvalidArgument);
  EXPECT_NE(ExplainListenFailure({"192.0.2.1", 7070}).message().find("not an address of this"),
            std::string::npos);
  EXPECT_EQ(ExplainListenFailure({"no.such.host.invalid", 7070}).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace weft::net
