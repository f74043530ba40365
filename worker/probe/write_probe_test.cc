#include <filesystem>
#include <string>

#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/full.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/files/files_testing.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::probe {
namespace {

using base::TempFolder;
using files::ExpectError;
using files::ReadFile;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

ProbeText ToyProbe() {
  ProbeText probe;
  probe.name = "toy";
  probe.tokenizer = "toy3";
  probe.vocabulary = 65536;
  probe.bos_policy = "stored";
  Domain a;
  a.label = "a";
  a.tokens_NT = at::arange(12, at::kLong).mul(5000).reshape({3, 4});
  a.row_classes_NT =
      at::arange(12, at::kLong).remainder(2).to(at::kByte).reshape({3, 4});
  a.class_names = {"other", "trigger"};
  Domain b;
  b.label = "b";
  b.tokens_NT = at::full({1, 4}, 65535, at::kLong);
  probe.domains = {a, b};
  return probe;
}

TEST(WriteProbeTest, WhatIsWrittenIsReadBack) {
  TempFolder temp;
  const ProbeText probe = ToyProbe();
  absl::Status written = WriteProbe(temp / "probe", probe);
  ASSERT_TRUE(written.ok()) << written;
  auto corpus = Corpus::Read(temp / "probe");
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  EXPECT_EQ(corpus->name(), "toy");
  EXPECT_EQ(corpus->vocabulary(), 65536);
  EXPECT_EQ(corpus->bos_policy(), "stored");
  ASSERT_EQ(corpus->domains().size(), 2u);
  for (int i : {0, 1}) {
    EXPECT_EQ(corpus->domains()[i].label, probe.domains[i].label);
    EXPECT_TRUE(
        at::equal(corpus->domains()[i].tokens_NT, probe.domains[i].tokens_NT));
  }
  EXPECT_TRUE(at::equal(corpus->domains()[0].row_classes_NT,
                        probe.domains[0].row_classes_NT));
  EXPECT_EQ(corpus->domains()[0].class_names, probe.domains[0].class_names);
  EXPECT_FALSE(std::filesystem::exists(temp / "probe-tmp"));
}

TEST(WriteProbeTest, AFolderThatIsThereIsKept) {
  TempFolder temp;
  ASSERT_TRUE(WriteProbe(temp / "probe", ToyProbe()).ok());
  const std::string before = ReadFile(temp / "probe/probe.json");
  ProbeText other = ToyProbe();
  other.name = "other";
  ExpectError(WriteProbe(temp / "probe", other),
              absl::StatusCode::kAlreadyExists, {"probe"});
  EXPECT_EQ(ReadFile(temp / "probe/probe.json"), before);
}

TEST(WriteProbeTest, WhatCouldNotBeReadIsNotPublished) {
  TempFolder temp;
  ProbeText probe = ToyProbe();
  probe.vocabulary = 65535;
  ExpectError(WriteProbe(temp / "probe", probe), kInvalid,
              {"domain 'b'", "token 0", "65535"});
  probe = ToyProbe();
  probe.domains[0].class_names = {"other"};
  ExpectError(WriteProbe(temp / "probe", probe), kInvalid, {"class 1"});
  probe = ToyProbe();
  probe.domains[1].label = "../b";
  ExpectError(WriteProbe(temp / "probe", probe), kInvalid, {"not a label"});
  probe = ToyProbe();
  probe.domains[1].tokens_NT = at::zeros({1, 5}, at::kLong);
  ExpectError(WriteProbe(temp / "probe", probe), kInvalid,
              {"domain 'b'", "[N, 4]"});
  probe = ToyProbe();
  probe.domains[0].row_classes_NT = at::zeros({3, 3}, at::kByte);
  ExpectError(WriteProbe(temp / "probe", probe), kInvalid,
              {"domain 'a'", "row classes"});
  EXPECT_FALSE(std::filesystem::exists(temp / "probe"));
}

}  // namespace
}  // namespace sinkwatch::probe
