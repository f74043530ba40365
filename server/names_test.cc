#include "server/names.h"

#include <string>

#include "gtest/gtest.h"

namespace sinkwatch::server {
namespace {

TEST(NamesTest, RunsAreNamedAsLabelsAndUrlsCanHoldThem) {
  EXPECT_TRUE(IsRunName("olmo2-1b.v3_x"));
  EXPECT_TRUE(IsRunName(std::string(64, 'a')));
  for (const char* bad :
       {"", "-x", ".a", "_a", "Run", "a b", "a\"", "a/b", "\xC3\xA9"}) {
    EXPECT_FALSE(IsRunName(bad)) << bad;
  }
  EXPECT_FALSE(IsRunName(std::string(65, 'a')));
}

TEST(NamesTest, AnAddressIsOneHostAndOnePort) {
  for (const char* good : {"127.0.0.1:0", "[::1]:17460", "localhost:65535"}) {
    EXPECT_TRUE(IsAddress(good)) << good;
  }
  for (const char* bad : {"", ":80", "host", "host:", "host:-1", "host:65536",
                          "host:http", "a:1,b:2"}) {
    EXPECT_FALSE(IsAddress(bad)) << bad;
  }
}

TEST(NamesTest, MetricsAreNamedAsPrometheusNamesThings) {
  EXPECT_TRUE(IsMetricName("sink_indicator_020"));
  EXPECT_TRUE(IsMetricName(std::string(64, 'a')));
  for (const char* bad : {"", "0a", "_a", "a-b", "a:b", "A", "a.b"}) {
    EXPECT_FALSE(IsMetricName(bad)) << bad;
  }
  EXPECT_FALSE(IsMetricName(std::string(65, 'a')));
}

}  // namespace
}  // namespace sinkwatch::server
