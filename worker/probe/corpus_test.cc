#include "worker/probe/corpus.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "ATen/ops/equal.h"
#include "gtest/gtest.h"
#include "proto/base/sha256.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/files/files_testing.h"
#include "worker/probe/probe_testing.h"

namespace sinkwatch::probe {
namespace {

using base::TempFolder;
using files::ExpectError;
using files::ReadFile;
using files::WriteFile;

// Without the doubled slash that a test's folder may have.
std::string Normal(const std::string& path) {
  return std::filesystem::path(path).lexically_normal().string();
}

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
  EXPECT_EQ(corpus->digest(),
            base::Sha256Hex(ReadFile(files.temp / "probe.json")));
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(base::Sha256Hex("abc"),
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

}  // namespace
}  // namespace sinkwatch::probe
