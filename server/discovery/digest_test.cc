#include "server/discovery/digest.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "proto/base/sha256.h"
#include "server/discovery/watched_folder_testing.h"

namespace sinkwatch::discovery {
namespace {

TEST(DigestTest, AgreesWithTheStandardsExample) {
  // FIPS 180-4, example of "abc".
  EXPECT_EQ(base::Sha256Hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(ReadProbeTest, NamesAProbeByTheBytesOfItsProbeJson) {
  const WatchedFolder folder;
  const std::string text = "{ \"name\" : \"stories\" }\n";
  folder.Write("probe.json", text);
  const auto probe = ReadProbe(folder.path());
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_EQ(probe->name(), "stories");
  EXPECT_EQ(probe->path(), folder.path());
  EXPECT_EQ(probe->digest(), base::Sha256Hex(text));
}

TEST(ReadProbeTest, NamesTheFileInEveryComplaint) {
  const WatchedFolder folder;
  folder.MakeFolder("none");
  folder.Write("text/probe.json", "hello");
  folder.Write("list/probe.json", "[1]");
  folder.Write("nameless/probe.json", "{}");
  folder.Write("numbered/probe.json", R"({"name": 5})");
  folder.Write("large/probe.json", std::string((1 << 20) + 1, ' '));
  for (const char* name :
       {"none", "text", "list", "nameless", "numbered", "large", "missing"}) {
    const auto status = ReadProbe(folder.Path(name)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_TRUE(
        absl::StrContains(status.message(), folder.Path(name) + "/probe.json"))
        << status;
  }
}

}  // namespace
}  // namespace sinkwatch::discovery
