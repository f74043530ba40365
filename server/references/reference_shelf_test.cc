#include "server/references/reference_shelf.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "proto/base/utf8.h"

namespace sinkwatch::references {
namespace {

constexpr char kTable[] =
    "metric,model,step,value,citation\n"
    "sink_attention,toy,300,.56,Guo\n"
    "probe_loss,toy,300,2.5,Guo\n";

TEST(ReferenceShelfTest, ShippedTablesAreThere) {
  const auto shelf = ReferenceShelf::Open("");
  ASSERT_TRUE(shelf.ok()) << shelf.status();
  const auto attention = (*shelf)->Points(
      "guo-2410.13835", "bigram-backcopy-1l", "sink_attention");
  ASSERT_TRUE(attention.ok()) << attention.status();
  EXPECT_EQ(attention->size(), 13u);
  const auto massive =
      (*shelf)->Points("massive-2503.22329", "OLMo-7B-0724", "massive_max");
  EXPECT_EQ(massive->size(), 60u);  // 30 blocks, with and without BOS
  EXPECT_EQ((*shelf)->Points("circuits-2606.02378", "", "")->size(), 116u);
  const auto all = (*shelf)->Points("", "", "");
  EXPECT_GT(all->size(), 400u);
  for (const v1::ReferencePoint& point : *all) {
    EXPECT_FALSE(point.citation().empty());
  }
}

TEST(ReferenceShelfTest, WhatIsAddedStays) {
  const base::TempFolder temp;
  const std::string folder = temp.path() + "/references";
  {
    const auto shelf = ReferenceShelf::Open(folder);
    ASSERT_TRUE(shelf.ok()) << shelf.status();
    EXPECT_EQ((*shelf)->Add("mine", kTable).value(), 2);
    EXPECT_EQ((*shelf)->Points("mine", "", "probe_loss")->size(), 1u);
  }
  const auto again = ReferenceShelf::Open(folder);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->Points("mine", "toy", "")->size(), 2u);
  EXPECT_TRUE((*again)->Remove("mine").ok());
  EXPECT_TRUE(absl::IsNotFound((*again)->Remove("mine")));
  EXPECT_TRUE(absl::IsNotFound(
      (*ReferenceShelf::Open(folder))->Points("mine", "", "").status()));
}

TEST(ReferenceShelfTest, ShippedOnesAreNotChanged) {
  const auto shelf = ReferenceShelf::Open("");
  EXPECT_TRUE(absl::IsFailedPrecondition(
      (*shelf)->Add("guo-2410.13835", kTable).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition((*shelf)->Remove("guo-2410.13835")));
}

TEST(ReferenceShelfTest, AnUnknownOneIsAnsweredWithTheNearest) {
  const auto shelf = ReferenceShelf::Open("");
  const absl::Status status =
      (*shelf)->Points("guo-2410.1383", "", "").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_TRUE(
      absl::StrContains(status.message(), "did you mean guo-2410.13835?"))
      << status;
}

// One of them refused the start of the server.
TEST(ReferenceShelfTest, AFileThatIsNoTableCostsItselfAndSaysSo) {
  const base::TempFolder temp;
  std::ofstream(temp / "bad.csv") << "non\xffsense\n";
  std::ofstream(temp / "\xff\n.csv") << "nonsense\n";
  std::filesystem::create_directory(temp / "folder.csv");
  std::filesystem::create_symlink("/dev/zero", temp / "endless.csv");
  const auto shelf = ReferenceShelf::Open(temp.path());
  ASSERT_TRUE(shelf.ok()) << shelf.status();
  for (const char* name : {"bad", "folder", "endless"}) {
    const absl::Status status = (*shelf)->Points(name, "", "").status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), name)) << status;
    EXPECT_TRUE(base::IsUtf8(status.message())) << status;
  }
  EXPECT_FALSE((*shelf)->Points("", "", "")->empty()) << "the shipped ones";
}

}  // namespace
}  // namespace sinkwatch::references
