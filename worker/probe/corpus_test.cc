#include "worker/probe/corpus.h"

#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/full.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/checkpoint/test_files.h"
#include "worker/probe/sha256.h"

namespace sinkwatch::probe {
namespace {

using checkpoint::ExpectError;
using checkpoint::ReadFile;
using checkpoint::TempFolder;
using checkpoint::WriteFile;
using Json = nlohmann::json;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Ids16(const std::vector<uint16_t>& ids) {
  std::string bytes;
  for (uint16_t id : ids) {
    bytes.push_back(static_cast<char>(id & 0xff));
    bytes.push_back(static_cast<char>(id >> 8));
  }
  return bytes;
}

std::string Ids32(const std::vector<uint32_t>& ids) {
  std::string bytes;
  for (uint32_t id : ids) {
    for (int b = 0; b < 4; ++b) {
      bytes.push_back(static_cast<char>(id >> (8 * b) & 0xff));
    }
  }
  return bytes;
}

// Without the doubled slash that a test's folder may have.
std::string Normal(const std::string& path) {
  return std::filesystem::path(path).lexically_normal().string();
}

Json FileEntry(const std::string& path, int64_t tokens,
               const std::string& bytes) {
  return {{"path", path}, {"tokens", tokens}, {"sha256", Sha256Hex(bytes)}};
}

// A small probe on disk that a test spoils before it is read: 4 tokens a
// sequence, domain `a` of two files (5 + 5 ids) and row classes, domain `b`.
struct ProbeFiles {
  ProbeFiles() {
    const std::string a0 = Ids16({1, 2, 3, 4, 5});
    const std::string a1 = Ids16({6, 7, 8, 9, 10});
    const std::string classes("\0\1\0\1\0\1\0\1\0\1", 10);
    const std::string b0 = Ids16({1, 1, 1, 499});
    WriteFile(temp / "a0.npy", a0);
    WriteFile(temp / "a1.npy", a1);
    WriteFile(temp / "a.u8", classes);
    WriteFile(temp / "b.npy", b0);
    json = {{"name", "toy"},
            {"version", "1"},
            {"tokenizer", {{"name", "t"}, {"vocab_size", 500}}},
            {"dtype", "uint16"},
            {"sequence_length", 4},
            {"eos_id", 2},
            {"bos_policy", "none"},
            {"domains", Json::array()}};
    json["domains"].push_back(
        {{"label", "a"},
         {"files", {FileEntry("a0.npy", 5, a0), FileEntry("a1.npy", 5, a1)}},
         {"row_classes",
          {{"path", "a.u8"},
           {"sha256", Sha256Hex(classes)},
           {"names", {"other", "trigger"}}}}});
    json["domains"].push_back(
        {{"label", "b"}, {"files", Json::array({FileEntry("b.npy", 4, b0)})}});
  }

  Json& a() { return json["domains"][0]; }
  Json& b() { return json["domains"][1]; }
  // Replaces the content of b.npy, and what the manifest says of it.
  void SetB(const std::string& bytes, int64_t tokens) {
    WriteFile(temp / "b.npy", bytes);
    b()["files"][0] = FileEntry("b.npy", tokens, bytes);
  }
  void Save() { WriteFile(temp / "probe.json", json.dump()); }
  absl::StatusOr<Corpus> Read() {
    Save();
    return Corpus::Read(temp.path());
  }

  TempFolder temp;
  Json json;
};

std::vector<int64_t> Flat(const at::Tensor& tensor) {
  at::Tensor t = tensor.to(at::kLong).contiguous();
  const int64_t* data = t.const_data_ptr<int64_t>();
  return {data, data + t.numel()};
}

TEST(CorpusTest, ARealProbeIsRead) {
  auto corpus = Corpus::Read("tests/data/stories_probe");
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  EXPECT_EQ(corpus->name(), "stories");
  EXPECT_EQ(corpus->sequence_length(), 96);
  EXPECT_EQ(corpus->bos_policy(), "stored");
  EXPECT_EQ(corpus->vocabulary(), 512);
  EXPECT_EQ(corpus->tokens(), 3 * 3072);
  ASSERT_EQ(corpus->domains().size(), 3u);
  EXPECT_EQ(corpus->domains()[2].label, "story_no_bos");
  for (const Domain& domain : corpus->domains()) {
    EXPECT_EQ(domain.tokens_NT.sizes(), at::IntArrayRef({32, 96}));
    EXPECT_FALSE(domain.row_classes_NT.defined());
  }
  // Token 1 is this tokenizer's begin-of-sequence.
  const at::Tensor first_N = corpus->domains()[0].tokens_NT.select(1, 0);
  EXPECT_EQ(Flat(first_N), std::vector<int64_t>(32, 1));
  EXPECT_TRUE(corpus->CheckFits(512, 512).ok());
}

TEST(CorpusTest, FilesAreJoinedAndTheRemainderIsDropped) {
  ProbeFiles files;
  auto corpus = files.Read();
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  const Domain& a = corpus->domains()[0];
  EXPECT_EQ(a.tokens_NT.sizes(), at::IntArrayRef({2, 4}));
  EXPECT_EQ(Flat(a.tokens_NT), (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(Flat(a.row_classes_NT),
            (std::vector<int64_t>{0, 1, 0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(a.class_names, (std::vector<std::string>{"other", "trigger"}));
  EXPECT_FALSE(corpus->domains()[1].row_classes_NT.defined());
  EXPECT_EQ(corpus->tokens(), 12);
}

TEST(CorpusTest, PrependPutsTheTokenBeforeEverySequence) {
  ProbeFiles files;
  files.json["bos_policy"] = "prepend";
  files.json["bos_id"] = 42;
  auto corpus = files.Read();
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  EXPECT_EQ(corpus->sequence_length(), 4);
  const Domain& a = corpus->domains()[0];
  EXPECT_EQ(Flat(a.tokens_NT),
            (std::vector<int64_t>{42, 1, 2, 3, 42, 4, 5, 6, 42, 7, 8, 9}));
  // The prepended token is of class 0; the others keep theirs.
  EXPECT_EQ(Flat(a.row_classes_NT),
            (std::vector<int64_t>{0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0}));
}

TEST(CorpusTest, EosAsFirstTokenOfEverySequence) {
  ProbeFiles files;
  const std::string without = files.Read()->digest();
  files.json["bos_policy"] = "eos";
  auto corpus = files.Read();
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  EXPECT_EQ(corpus->bos_policy(), "eos");
  EXPECT_EQ(Flat(corpus->domains()[0].tokens_NT),
            (std::vector<int64_t>{2, 1, 2, 3, 2, 4, 5, 6, 2, 7, 8, 9}));
  // Other numbers come of it: another digest, hence another series.
  EXPECT_NE(corpus->digest(), without);
}

TEST(CorpusTest, AFileElsewhereIsUsedInPlace) {
  ProbeFiles files;
  TempFolder elsewhere, links;
  std::filesystem::rename(files.temp / "b.npy", elsewhere / "b.npy");
  files.b()["files"][0]["path"] = Normal(elsewhere / "b.npy");
  auto corpus = files.Read();
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  EXPECT_EQ(Flat(corpus->domains()[1].tokens_NT),
            (std::vector<int64_t>{1, 1, 1, 499}));
  // A mount may be a link.
  std::filesystem::create_directory_symlink(elsewhere.path(), links / "data");
  files.b()["files"][0]["path"] = Normal(links / "data/b.npy");
  EXPECT_TRUE(files.Read().ok());
  files.b()["files"][0]["path"] = Normal(files.temp / "a0.npy");
  ExpectError(files.Read().status(), kInvalid,
              {"a0.npy", "10 bytes", "asks for 8"});
}

TEST(CorpusTest, APrefixIsReadAndTheRestMayChange) {
  ProbeFiles files;
  const std::string used = Ids16({5, 6, 7, 8});
  files.b()["files"][0] = FileEntry("b.npy", 4, used);
  files.b()["files"][0]["prefix"] = true;
  // Beyond the prefix, not even an id that is too large matters.
  for (const std::string& rest : {Ids16({}), Ids16({9}), Ids16({60000})}) {
    WriteFile(files.temp / "b.npy", used + rest);
    auto corpus = files.Read();
    ASSERT_TRUE(corpus.ok()) << corpus.status();
    EXPECT_EQ(Flat(corpus->domains()[1].tokens_NT),
              (std::vector<int64_t>{5, 6, 7, 8}));
  }
}

TEST(CorpusTest, IdsOfOneAndOfEightBytes) {
  ProbeFiles files;
  files.json["domains"].erase(0);
  files.json["dtype"] = "uint8";
  files.json["tokenizer"]["vocab_size"] = 256;
  const std::string narrow("\x00\x7f\x80\xff", 4);
  WriteFile(files.temp / "b.npy", narrow);
  files.json["domains"][0]["files"][0] = FileEntry("b.npy", 4, narrow);
  auto corpus = files.Read();
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  EXPECT_EQ(Flat(corpus->domains()[0].tokens_NT),
            (std::vector<int64_t>{0, 127, 128, 255}));
  files.json["dtype"] = "uint64";
  std::string wide;
  for (char id : narrow) wide += id + std::string(7, '\0');
  WriteFile(files.temp / "b.npy", wide);
  files.json["domains"][0]["files"][0] = FileEntry("b.npy", 4, wide);
  EXPECT_TRUE(at::equal(files.Read()->domains()[0].tokens_NT,
                        corpus->domains()[0].tokens_NT));
  // Above what a signed integer holds.
  wide.back() = '\xff';
  WriteFile(files.temp / "b.npy", wide);
  files.json["domains"][0]["files"][0] = FileEntry("b.npy", 4, wide);
  ExpectError(files.Read().status(), kInvalid, {"token 3", "not below"});
}

// A probe of two tokens is no pair of halves: 64 ids are needed to say so, and
// one even id above 1.
TEST(CorpusTest, FewIdsAreNotJudgedByTheirLooks) {
  ProbeFiles files;
  std::vector<uint16_t> ids;
  for (int i = 0; i < 62; ++i) ids.push_back(i % 2 == 0 ? 7 : 1);
  files.SetB(Ids16(ids), 62);
  EXPECT_TRUE(files.Read().ok());
  for (int i = 0; i < 62; ++i) ids.push_back(i % 2 == 0 ? 7 : 1);
  files.SetB(Ids16(ids), 124);
  EXPECT_FALSE(files.Read().ok());
  files.SetB(Ids16(std::vector<uint16_t>(124, 1)), 124);
  EXPECT_TRUE(files.Read().ok());
}

TEST(CorpusTest, WideIdsAreReadLittleEndian) {
  ProbeFiles files;
  files.json["dtype"] = "uint32";
  files.json["tokenizer"]["vocab_size"] = 200000;
  files.json["domains"].erase(0);
  files.json["domains"][0]["files"][0] =
      FileEntry("b.npy", 4, Ids32({1, 100277, 3, 65536}));
  WriteFile(files.temp / "b.npy", Ids32({1, 100277, 3, 65536}));
  auto corpus = files.Read();
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  EXPECT_EQ(Flat(corpus->domains()[0].tokens_NT),
            (std::vector<int64_t>{1, 100277, 3, 65536}));
}

TEST(CorpusTest, TheDigestIsThatOfTheManifestBytes) {
  ProbeFiles files;
  auto corpus = files.Read();
  ASSERT_TRUE(corpus.ok());
  EXPECT_EQ(corpus->digest(), Sha256Hex(ReadFile(files.temp / "probe.json")));
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(Sha256Hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(CorpusTest, IdsMustFitTheEmbedding) {
  ProbeFiles files;
  auto corpus = files.Read();
  ASSERT_TRUE(corpus.ok());
  EXPECT_TRUE(corpus->CheckFits(500, 4).ok());
  EXPECT_TRUE(corpus->CheckFits(500, 0).ok());
  ExpectError(corpus->CheckFits(499, 4), kInvalid,
              {"domain 'b'", "sequence 0", "position 3", "id 499", "499 rows"});
  ExpectError(corpus->CheckFits(8, 0), kInvalid,
              {"domain 'a'", "sequence 1", "position 3", "id 8"});
  ExpectError(corpus->CheckFits(500, 3), kInvalid, {"4 tokens", "3 positions"});
}

struct BadProbe {
  const char* name;
  std::function<void(ProbeFiles&)> spoil;
  std::vector<std::string> words;
};

const std::vector<BadProbe>& BadProbes() {
  static const auto* cases = new std::vector<BadProbe>{
      {"UnknownKey",
       [](auto& f) { f.json["bos"] = 1; },
       {"'bos'", "not a key"}},
      {"UnknownKeyOfTokenizer",
       [](auto& f) { f.json["tokenizer"]["size"] = 1; },
       {"'tokenizer.size'", "not a key"}},
      {"UnknownKeyOfDomain",
       [](auto& f) { f.b()["weight"] = 1; },
       {"'domains[1].weight'", "not a key"}},
      {"UnknownKeyOfFile",
       [](auto& f) { f.a()["files"][1]["size"] = 10; },
       {"'domains[0].files[1].size'", "not a key"}},
      {"UnknownKeyOfRowClasses",
       [](auto& f) { f.a()["row_classes"]["dtype"] = "u8"; },
       {"'domains[0].row_classes.dtype'", "not a key"}},
      {"NoName", [](auto& f) { f.json.erase("name"); }, {"'name'", "missing"}},
      {"EmptyName", [](auto& f) { f.json["name"] = ""; }, {"'name'", "1 to"}},
      {"NumberForName",
       [](auto& f) { f.json["name"] = 7; },
       {"'name'", "must be a string"}},
      {"NoVersion",
       [](auto& f) { f.json.erase("version"); },
       {"'version'", "missing"}},
      {"NoTokenizer",
       [](auto& f) { f.json.erase("tokenizer"); },
       {"'tokenizer'", "missing"}},
      {"TokenizerIsAString",
       [](auto& f) { f.json["tokenizer"] = "t"; },
       {"'tokenizer'", "must be an object"}},
      {"VocabularyOfZero",
       [](auto& f) { f.json["tokenizer"]["vocab_size"] = 0; },
       {"'tokenizer.vocab_size'", "[1, 2147483648]"}},
      {"NegativeVocabulary",
       [](auto& f) { f.json["tokenizer"]["vocab_size"] = -5; },
       {"'tokenizer.vocab_size'", "unsigned integer"}},
      {"SignedDtype",
       [](auto& f) { f.json["dtype"] = "int16"; },
       {"'dtype'", "uint16"}},
      {"SequenceOfOne",
       [](auto& f) { f.json["sequence_length"] = 1; },
       {"'sequence_length'", "[2, "}},
      {"FractionalSequence",
       [](auto& f) { f.json["sequence_length"] = 4.0; },
       {"'sequence_length'", "unsigned integer"}},
      {"EosOutsideVocabulary",
       [](auto& f) { f.json["eos_id"] = 500; },
       {"'eos_id'", "[0, 499]"}},
      {"UnknownBosPolicy",
       [](auto& f) { f.json["bos_policy"] = "add"; },
       {"'bos_policy'", "prepend"}},
      {"PrependWithoutBosId",
       [](auto& f) { f.json["bos_policy"] = "prepend"; },
       {"'bos_id'", "missing"}},
      {"BosIdWithoutPrepend",
       [](auto& f) { f.json["bos_id"] = 1; },
       {"'bos_id'", "prepend"}},
      {"BosIdOutsideVocabulary",
       [](auto& f) {
         f.json["bos_policy"] = "prepend";
         f.json["bos_id"] = 500;
       },
       {"'bos_id'", "[0, 499]"}},
      {"NoDomains",
       [](auto& f) { f.json["domains"] = Json::array(); },
       {"'domains'", "array of 1 to 64"}},
      {"TooManyDomains",
       [](auto& f) { f.json["domains"] = std::vector<Json>(65, f.b()); },
       {"'domains'", "array of 1 to 64"}},
      {"RepeatedLabel",
       [](auto& f) { f.b()["label"] = "a"; },
       {"'domains'", "'a'", "twice"}},
      {"SlashInLabel",
       [](auto& f) { f.b()["label"] = "b/trigger"; },
       {"'domains[1].label'", "letters"}},
      {"NoFiles",
       [](auto& f) { f.b()["files"] = Json::array(); },
       {"'domains[1].files'", "array of 1 to"}},
      {"PathOutOfTheFolder",
       [](auto& f) { f.b()["files"][0]["path"] = "../b.npy"; },
       {"'domains[1].files[0].path'", "bare file name"}},
      {"AbsolutePath",
       [](auto& f) { f.b()["files"][0]["path"] = "/etc/../etc/passwd"; },
       {"'domains[1].files[0].path'", "absolute path without"}},
      {"AbsolutePathWithASlashTooMany",
       [](auto& f) { f.b()["files"][0]["path"] = "/etc//passwd"; },
       {"'domains[1].files[0].path'", "absolute path without"}},
      {"AbsolutePathOfARowClass",
       [](auto& f) { f.a()["row_classes"]["path"] = f.temp / "a.u8"; },
       {"'domains[0].row_classes.path'", "bare file name"}},
      {"PrefixIsNoBool",
       [](auto& f) { f.b()["files"][0]["prefix"] = 1; },
       {"'domains[1].files[0].prefix'", "true or false"}},
      {"PrefixOfAShortFile",
       [](auto& f) {
         f.b()["files"][0]["prefix"] = true;
         f.b()["files"][0]["tokens"] = 5;
       },
       {"b.npy", "8 bytes", "at least 10"}},
      {"AnotherPrefix",
       [](auto& f) {
         f.b()["files"][0]["prefix"] = true;
         WriteFile(f.temp / "b.npy", Ids16({1, 1, 1, 2, 7}));
       },
       {"b.npy", "sha256 is"}},
      {"EosPolicyWithoutEosId",
       [](auto& f) {
         f.json["bos_policy"] = "eos";
         f.json.erase("eos_id");
       },
       {"'eos_id'", "missing"}},
      {"BosIdWithEosPolicy",
       [](auto& f) {
         f.json["bos_policy"] = "eos";
         f.json["bos_id"] = 1;
       },
       {"'bos_id'", "prepend"}},
      {"DtypeBelowTheVocabulary",
       [](auto& f) { f.json["tokenizer"]["vocab_size"] = 100278; },
       {"'dtype'", "uint16 cannot hold", "100278"}},
      {"HalvesOfWideIds",
       [](auto& f) {
         std::vector<uint32_t> ids(100);
         for (uint32_t i = 0; i < 100; ++i) ids[i] = 3 * i + 65536 * (i % 2);
         f.SetB(Ids32(ids), 200);
       },
       {"b.npy", "uint32 ids that are read as uint16"}},
      {"PairsOfNarrowIds",
       [](auto& f) {
         f.json["dtype"] = "uint32";
         f.json["domains"].erase(0);
         const std::string bytes = Ids16({1, 2, 3, 4, 5, 6, 7, 8});
         WriteFile(f.temp / "b.npy", bytes);
         f.json["domains"][0]["files"][0] = FileEntry("b.npy", 4, bytes);
       },
       {"b.npy", "token 0", "as uint16 it would be 1 and 2"}},
      {"PathOfTheParent",
       [](auto& f) { f.b()["files"][0]["path"] = ".."; },
       {"'domains[1].files[0].path'", "bare file name"}},
      {"LinkOutOfTheFolder",
       [](auto& f) {
         std::filesystem::remove(f.temp / "b.npy");
         std::filesystem::create_symlink("/etc/hostname", f.temp / "b.npy");
       },
       {"b.npy", "link out of its folder"}},
      {"PipeInPlaceOfAFile",
       [](auto& f) {
         std::filesystem::remove(f.temp / "b.npy");
         ASSERT_EQ(::mkfifo((f.temp / "b.npy").c_str(), 0600), 0);
       },
       {"b.npy", "not a regular file"}},
      {"MissingFile",
       [](auto& f) { std::filesystem::remove(f.temp / "a1.npy"); },
       {"a1.npy", "not there"}},
      {"ShortSha256",
       [](auto& f) { f.b()["files"][0]["sha256"] = "abc"; },
       {"'domains[1].files[0].sha256'", "64 hex digits"}},
      {"WrongSha256",
       [](auto& f) {
         WriteFile(f.temp / "b.npy", Ids16({1, 1, 1, 2}));
       },
       {"b.npy", "sha256 is"}},
      {"WrongSize",
       [](auto& f) {
         WriteFile(f.temp / "b.npy", Ids16({1, 1, 1}));
       },
       {"b.npy", "6 bytes", "asks for 8"}},
      {"RealNpy",
       [](auto& f) {
         WriteFile(f.temp / "b.npy", "\x93NUMPY\x01" + std::string(121, ' '));
       },
       {"b.npy", "NumPy's .npy", "tofile"}},
      {"IdOutsideVocabulary",
       [](auto& f) {
         f.SetB(Ids16({1, 1, 500, 1}), 4);
       },
       {"b.npy", "token 2", "id 500", "vocab_size 500"}},
      {"NoWholeSequence",
       [](auto& f) {
         f.SetB(Ids16({1, 1, 1}), 3);
       },
       {"'domains[1].files'", "less than one sequence"}},
      {"TooManyTokens",
       [](auto& f) { f.b()["files"][0]["tokens"] = (1 << 26) + 1; },
       {"'domains[1].files[0].tokens'", "67108864"}},
      {"TooManyTokensTogether",
       [](auto& f) { f.b()["files"][0]["tokens"] = 1 << 26; },
       {"'domains'", "67108874 tokens"}},
      {"NoClassNames",
       [](auto& f) { f.a()["row_classes"]["names"] = Json::array(); },
       {"'domains[0].row_classes.names'", "array of 1 to 64"}},
      {"ClassNameIsNoLabel",
       [](auto& f) { f.a()["row_classes"]["names"][1] = "tri gger"; },
       {"'domains[0].row_classes.names'", "'tri gger'", "not a label"}},
      {"RepeatedClassName",
       [](auto& f) { f.a()["row_classes"]["names"][1] = "other"; },
       {"'domains[0].row_classes.names'", "'other'", "twice"}},
      {"RowClassesWithoutSha256",
       [](auto& f) { f.a()["row_classes"].erase("sha256"); },
       {"'domains[0].row_classes.sha256'", "missing"}},
      {"ClassWithoutName",
       [](auto& f) { f.a()["row_classes"]["names"] = {"other"}; },
       {"a.u8", "token 1", "class 1", "number of names"}},
      {"FewerClassesThanTokens",
       [](auto& f) { WriteFile(f.temp / "a.u8", std::string(9, '\0')); },
       {"a.u8", "9 bytes", "asks for 10"}},
  };
  return *cases;
}

class BadProbeTest : public ::testing::TestWithParam<BadProbe> {};

TEST_P(BadProbeTest, IsRefusedWithFilePlaceAndRule) {
  ProbeFiles files;
  GetParam().spoil(files);
  absl::Status status = files.Read().status();
  ExpectError(status, kInvalid, {files.temp.path()});
  for (const std::string& word : GetParam().words) {
    ExpectError(status, kInvalid, {word});
  }
}

INSTANTIATE_TEST_SUITE_P(All, BadProbeTest, ::testing::ValuesIn(BadProbes()),
                         [](const auto& info) { return info.param.name; });

TEST(CorpusTest, AManifestThatIsNoJsonIsRefused) {
  TempFolder temp;
  const std::string path = temp / "probe.json";
  ExpectError(Corpus::Read(temp.path()).status(), kInvalid,
              {path, "not there"});
  WriteFile(path, "");
  ExpectError(Corpus::Read(temp.path()).status(), kInvalid, {path, "empty"});
  WriteFile(path, "{\"name\": \"toy\"");
  ExpectError(Corpus::Read(temp.path()).status(), kInvalid,
              {path, "ends at byte 14"});
  WriteFile(path, "{\"name\": \"toy\", \"name\": \"toy\"}");
  ExpectError(Corpus::Read(temp.path()).status(), kInvalid,
              {path, "'name'", "twice"});
  WriteFile(path, std::string((1 << 20) + 1, ' '));
  ExpectError(Corpus::Read(temp.path()).status(), kInvalid,
              {path, "more than the 1048576"});
  ExpectError(Corpus::Read(temp / "gone").status(), kInvalid,
              {"gone", "folder is gone"});
}

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
