// Probes that are refused, and the words with which they are.
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/files/files_testing.h"
#include "worker/probe/corpus.h"
#include "worker/probe/probe_testing.h"

namespace sinkwatch::probe {
namespace {

using base::TempFolder;
using files::ExpectError;
using files::WriteFile;

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
       {"b.npy", "outside of"}},
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

}  // namespace
}  // namespace sinkwatch::probe
