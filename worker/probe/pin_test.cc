#include "worker/probe/pin.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "proto/base/sha256.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/files/files_testing.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::probe {
namespace {

using base::TempFolder;
using files::ExpectError;
using files::ReadFile;
using files::WriteFile;
using Json = nlohmann::json;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Ids(const std::vector<uint32_t>& ids, int bytes_each) {
  std::string bytes;
  for (uint32_t id : ids) {
    for (int b = 0; b < bytes_each; ++b) {
      bytes.push_back(static_cast<char>(id >> (8 * b) & 0xff));
    }
  }
  return bytes;
}

std::vector<uint32_t> Range(uint32_t begin, uint32_t end) {
  std::vector<uint32_t> ids;
  for (uint32_t id = begin; id < end; ++id) ids.push_back(id);
  return ids;
}

// Token files of a tokenizer with wide ids, laid out as OLMo's, and a list.
struct Data {
  Data() {
    options.list_file = data / "mix.txt";
    options.name = "small";
    options.tokenizer = "dolma2-tokenizer";
    options.vocabulary = 100278;
    options.sequence_length = 8;
    Write("c4/dolma2-tokenizer/part-0.npy", Ids(Range(70000, 70020), 4));
    Write("c4/dolma2-tokenizer/part-1.npy", Ids(Range(5, 15), 4));
    Write("wiki/dolma2-tokenizer/part-0.npy", Ids(Range(0, 16), 4));
    List(
        "# a comment\n"
        "c4_en-validation,c4/{TOKENIZER}/part-0.npy\n"
        "\n"
        "wiki-validation, wiki/{TOKENIZER}/part-0.npy \r\n"
        "c4_en-validation,c4/{TOKENIZER}/part-1.npy");
  }

  void Write(const std::string& name, const std::string& bytes) {
    const std::filesystem::path path(data / name);
    std::filesystem::create_directories(path.parent_path());
    WriteFile(path.string(), bytes);
  }
  void List(const std::string& lines) { WriteFile(data / "mix.txt", lines); }
  absl::StatusOr<PinReport> Pin() { return PinProbe(options, out / "small"); }
  Json Manifest() { return Json::parse(ReadFile(out / "small/probe.json")); }

  TempFolder data, out;
  PinOptions options;
};

TEST(PinTest, AListBecomesAProbeOfTheFilesWhereTheyLie) {
  Data data;
  auto report = data.Pin();
  ASSERT_TRUE(report.ok()) << report.status();
  const std::string first = Ids(Range(70000, 70020), 4);
  const std::string path =
      std::filesystem::path(data.data / "c4/dolma2-tokenizer/part-0.npy")
          .lexically_normal();
  const Json manifest = data.Manifest();
  EXPECT_EQ(manifest["dtype"], "uint32");
  EXPECT_EQ(manifest["tokenizer"],
            Json({{"name", "dolma2-tokenizer"}, {"vocab_size", 100278}}));
  EXPECT_EQ(manifest["domains"][0]["files"][0],
            Json({{"path", path},
                  {"tokens", 20},
                  {"sha256", base::Sha256Hex(first)}}));
  // Nothing was copied.
  EXPECT_EQ(
      std::distance(std::filesystem::directory_iterator(data.out / "small"),
                    std::filesystem::directory_iterator()),
      1);
  auto corpus = Corpus::Read(data.out / "small");
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  ASSERT_EQ(corpus->domains().size(), 2u);
  EXPECT_EQ(corpus->name(), "small");
  EXPECT_EQ(corpus->domains()[0].label, "c4_en-validation");
  EXPECT_EQ(corpus->domains()[0].tokens_NT.size(0), 3);
  // The second file follows the first within a sequence.
  EXPECT_EQ(corpus->domains()[0].tokens_NT[2][3].item<int64_t>(), 70019);
  EXPECT_EQ(corpus->domains()[0].tokens_NT[2][4].item<int64_t>(), 5);
  EXPECT_EQ(corpus->domains()[1].label, "wiki-validation");
  EXPECT_EQ(report->digest, corpus->digest());
  EXPECT_EQ(report->domains[0].files, 2);
  EXPECT_EQ(report->domains[0].tokens, 30);
  EXPECT_EQ(report->domains[0].sequences, 3);
  EXPECT_TRUE(report->warnings.empty()) << report->warnings[0];
}

TEST(PinTest, ADomainMayBeCutShort) {
  Data data;
  data.options.max_tokens_per_domain = 16;
  auto report = data.Pin();
  ASSERT_TRUE(report.ok()) << report.status();
  const Json files = data.Manifest()["domains"][0]["files"];
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0]["tokens"], 16);
  EXPECT_EQ(files[0]["prefix"], true);
  EXPECT_EQ(files[0]["sha256"], base::Sha256Hex(Ids(Range(70000, 70016), 4)));
  // A file that is used to its end is no prefix.
  EXPECT_FALSE(data.Manifest()["domains"][1]["files"][0].contains("prefix"));
  EXPECT_EQ(report->domains[0].tokens, 16);
  EXPECT_EQ(report->domains[0].tokens_available, 30);
}

TEST(PinTest, RelativePathsStartFromTheFolderAskedFor) {
  Data data;
  TempFolder elsewhere;
  WriteFile(elsewhere / "mix.txt", "w,wiki/{TOKENIZER}/part-0.npy\n");
  data.options.list_file = elsewhere / "mix.txt";
  ExpectError(data.Pin().status(), kInvalid,
              {std::filesystem::path(elsewhere / "wiki").lexically_normal(),
               "folder is gone"});
  data.options.base_folder = data.data.path();
  EXPECT_TRUE(data.Pin().ok());
}

TEST(PinTest, TheSmallestDtypeIsTakenUnlessOneIsGiven) {
  for (const auto& [vocabulary, dtype] :
       std::vector<std::pair<int64_t, std::string>>{{256, "uint8"},
                                                    {257, "uint16"},
                                                    {65536, "uint16"},
                                                    {65537, "uint32"}}) {
    Data data;
    const int bytes = std::stoi(dtype.substr(4)) / 8;
    data.Write("x.npy", Ids(Range(0, 16), bytes));
    data.List("x,x.npy\n");
    data.options.vocabulary = vocabulary;
    auto report = data.Pin();
    ASSERT_TRUE(report.ok()) << dtype << report.status();
    EXPECT_EQ(report->dtype, dtype);
  }
  // The first trainer's uint16 is the default of its config, wide ids may come
  // of a small vocabulary too.
  Data data;
  data.Write("x.npy", Ids(Range(0, 16), 4));
  data.List("x,x.npy\n");
  data.options.vocabulary = 50280;
  data.options.dtype = "uint32";
  EXPECT_TRUE(data.Pin().ok());
}

TEST(PinTest, TokenFilesThatAreNotWhatTheOptionsSayAreRefused) {
  const auto refused = [](const std::string& bytes, int64_t vocabulary,
                          const std::initializer_list<std::string>& words) {
    Data data;
    data.Write("x.npy", bytes);
    data.List("x,x.npy\n");
    data.options.vocabulary = vocabulary;
    ExpectError(data.Pin().status(), kInvalid, words);
    EXPECT_FALSE(std::filesystem::exists(data.out / "small"));
  };
  refused("\x93NUMPY\x01" + std::string(121, ' '), 100278,
          {"x.npy", "NumPy's .npy"});
  refused(Ids(Range(0, 16), 4) + "x", 100278, {"x.npy", "65 bytes", "uint32"});
  refused("", 100278, {"x.npy", "0 bytes"});
  refused(Ids({1, 2, 60000, 3}, 2), 50280, {"x.npy", "token 2", "60000"});
  refused(Ids(Range(2, 102), 4), 50280, {"x.npy", "read as uint16"});
  refused(Ids(Range(1, 65), 2), 100278, {"x.npy", "as uint16 it would be"});
  refused(Ids(Range(0, 4), 4), 100278, {"less than one sequence"});
}

TEST(PinTest, LinesThatAreWrongAreNamed) {
  const auto refused = [](const std::string& lines,
                          const std::initializer_list<std::string>& words) {
    Data data;
    data.List(lines);
    ExpectError(data.Pin().status(), kInvalid, words);
  };
  refused("", {"mix.txt", "names no token file"});
  refused("# nothing\n", {"mix.txt", "names no token file"});
  refused("\nwiki/part-0.npy\n", {"mix.txt: line 2", "label,path"});
  refused("a b,x.npy\n", {"line 1", "'a b'"});
  refused("a,\n", {"line 1", "no path"});
  refused("a,http://olmo-data.org/x.npy\n", {"line 1", "not on this machine"});
  refused("a,x.npy\na,./x.npy\n", {"line 2", "twice"});
  refused("a,gone.npy\n", {"gone.npy", "not there"});
}

TEST(PinTest, OptionsThatAreWrongAreRefused) {
  Data data;
  data.options.dtype = "int32";
  ExpectError(data.Pin().status(), kInvalid, {"'int32'", "uint16"});
  data.options.dtype = "auto";
  data.options.bos_policy = "prepend";
  ExpectError(data.Pin().status(), kInvalid, {"'bos_id'", "missing"});
  data.options.bos_id = 100278;
  ExpectError(data.Pin().status(), kInvalid, {"'bos_id'", "100278"});
  data.options.bos_id = 1;
  EXPECT_TRUE(data.Pin().ok());
  ExpectError(data.Pin().status(), absl::StatusCode::kAlreadyExists, {});
}

TEST(PinTest, EosAsFirstTokenNeedsItsId) {
  Data data;
  data.options.bos_policy = "eos";
  ExpectError(data.Pin().status(), kInvalid, {"'eos_id'", "missing"});
  data.options.eos_id = 100257;
  auto report = data.Pin();
  ASSERT_TRUE(report.ok()) << report.status();
  auto corpus = Corpus::Read(data.out / "small");
  ASSERT_TRUE(corpus.ok());
  EXPECT_EQ(corpus->domains()[1].tokens_NT[0][0].item<int64_t>(), 100257);
  EXPECT_EQ(corpus->domains()[1].tokens_NT[0][1].item<int64_t>(), 0);
}

// Two tokenizers of OLMo have the same ids but for the end of a text.
TEST(PinTest, AnEosOfTheOtherTokenizerIsWarnedOf) {
  Data data;
  data.options.vocabulary = 50280;
  data.options.eos_id = 50279;
  data.List("x,x.npy\n");
  data.Write("x.npy", Ids({5, 6, 7, 0, 8, 9, 10, 0}, 2));
  auto report = data.Pin();
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->warnings.size(), 1u);
  EXPECT_NE(report->warnings[0].find("id 0 does, 2 times"), std::string::npos)
      << report->warnings[0];

  data.Write("x.npy", Ids({5, 6, 7, 50279, 8, 9, 10, 0}, 2));
  std::filesystem::remove_all(data.out / "small");
  EXPECT_TRUE(data.Pin()->warnings.empty());

  data.options.eos_id = 0;
  data.Write("x.npy", Ids({5, 6, 7, 50279, 8, 9, 10, 50279}, 2));
  std::filesystem::remove_all(data.out / "small");
  report = data.Pin();
  ASSERT_EQ(report->warnings.size(), 1u);
  EXPECT_NE(report->warnings[0].find("id 50279 does, 2 times"),
            std::string::npos);
}

TEST(PinTest, ALargeDomainWithoutEosIsWarnedOf) {
  Data data;
  data.options.eos_id = 100257;
  data.List("x,x.npy\n");
  std::vector<uint32_t> ids(100 * 1000, 17);
  data.Write("x.npy", Ids(ids, 4));
  auto report = data.Pin();
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->warnings.size(), 1u);
  EXPECT_NE(report->warnings[0].find("100257 never occurs in 100000 ids"),
            std::string::npos);
  ids.back() = 100257;
  data.Write("x.npy", Ids(ids, 4));
  std::filesystem::remove_all(data.out / "small");
  EXPECT_TRUE(data.Pin()->warnings.empty());
}

TEST(PinTest, AStoredFirstTokenThatIsNotThereIsWarnedOf) {
  Data data;
  data.options.bos_policy = "stored";
  auto report = data.Pin();
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->warnings.size(), 2u);
  EXPECT_NE(report->warnings[0].find("begins with another id"),
            std::string::npos);
  data.List("x,x.npy\n");
  data.Write("x.npy", Ids({1, 5, 6, 7, 8, 9, 9, 9, 1, 4, 4, 4, 4, 4, 4, 4}, 4));
  std::filesystem::remove_all(data.out / "small");
  EXPECT_TRUE(data.Pin()->warnings.empty());
}

}  // namespace
}  // namespace sinkwatch::probe
