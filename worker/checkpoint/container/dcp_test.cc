// What the trainers' own code wrote (tests/data/containers) is read back bit
// for bit, whatever the number of ranks.
#include "worker/checkpoint/container/dcp.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/container/dcp_testing.h"
#include "worker/checkpoint/container/safetensors.h"
#include "worker/checkpoint/locate_pieces.h"
#include "worker/checkpoint/tensor_reader.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr auto kIncomplete = absl::StatusCode::kFailedPrecondition;
constexpr auto kCorrupt = absl::StatusCode::kDataLoss;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;

constexpr char kData[] = "tests/data/containers/";
constexpr int64_t kWidth = 32;
constexpr int64_t kLayers = 2;

// The bytes of each tensor.
using Weights = std::map<std::string, std::string>;

std::string ReadRange(const Contents& contents, const StoredTensor& tensor,
                      RowRange range) {
  const auto located = LocatePieces(contents, tensor, {range});
  EXPECT_TRUE(located.ok()) << located.status();
  int64_t bytes = 4 * range.count;
  for (size_t i = 1; i < tensor.shape.size(); ++i) bytes *= tensor.shape[i];
  std::string out(bytes, '\0');
  if (!located.ok()) return out;
  const absl::Status read = ReadRows(contents, *located, range, out.data());
  EXPECT_TRUE(read.ok()) << read;
  return out;
}

Weights ReadAll(const absl::StatusOr<Contents>& contents) {
  EXPECT_TRUE(contents.ok()) << contents.status();
  Weights weights;
  if (!contents.ok()) return weights;
  for (const StoredTensor& tensor : contents->tensors) {
    EXPECT_EQ(tensor.dtype, FindDtype("F32")) << tensor.name;
    weights[tensor.name] = ReadRange(*contents, tensor, {0, tensor.shape[0]});
  }
  return weights;
}

std::string RealFolder(const std::string& folder) {
  auto real = files::RealFolderOf(folder + "/config.json");
  if (!real.ok()) real = files::RealFolderOf(folder + "/config.yaml");
  EXPECT_TRUE(real.ok()) << real.status();
  return *real;
}

absl::StatusOr<Contents> OpenTop(const std::string& name) {
  return OpenDcp(kData + name, RealFolder(kData + name));
}
absl::StatusOr<Contents> OpenNested(const std::string& name) {
  return OpenModelAndOptim(kData + name, RealFolder(kData + name));
}

Weights Reference(const std::string& name) {
  return ReadAll(OpenSafetensors(kData + name, RealFolder(kData + name)));
}

// `weights` under other names: `names` replaces parts of them.
Weights Renamed(const Weights& weights,
                const std::vector<std::pair<const char*, const char*>>& names) {
  Weights renamed;
  for (const auto& [name, bytes] : weights) {
    renamed[absl::StrReplaceAll(name, names)] = bytes;
  }
  return renamed;
}

Weights OlmoCoreReference() {
  return Renamed(Reference("hf"),
                 {{"model.embed_tokens", "embeddings"},
                  {"model.norm", "lm_head.norm"},
                  {"lm_head.weight", "lm_head.w_out.weight"},
                  {"model.layers", "blocks"},
                  {"self_attn.q_proj", "attention.w_q"},
                  {"self_attn.k_proj", "attention.w_k"},
                  {"self_attn.v_proj", "attention.w_v"},
                  {"self_attn.o_proj", "attention.w_out"},
                  {"self_attn.q_norm", "attention.q_norm"},
                  {"self_attn.k_norm", "attention.k_norm"},
                  {"post_attention_layernorm", "attention_norm"},
                  {"post_feedforward_layernorm", "feed_forward_norm"},
                  {"mlp.gate_proj", "feed_forward.w1"},
                  {"mlp.down_proj", "feed_forward.w2"},
                  {"mlp.up_proj", "feed_forward.w3"}});
}

// Rows in the order of Meta's rotary pairs.
std::string Interleaved(const std::string& rows, int64_t heads) {
  const int64_t row = 4 * kWidth;
  const int64_t half = static_cast<int64_t>(rows.size()) / row / heads / 2;
  std::string out;
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t i = 0; i < half; ++i) {
      out += rows.substr((2 * head * half + i) * row, row);
      out += rows.substr((2 * head * half + half + i) * row, row);
    }
  }
  return out;
}

Weights TorchtitanReference() {
  Weights weights =
      Renamed(Reference("hf_llama"), {{"model.embed_tokens", "tok_embeddings"},
                                      {"model.norm", "norm"},
                                      {"lm_head", "output"},
                                      {"model.layers", "layers"},
                                      {"self_attn.q_proj", "attention.wq"},
                                      {"self_attn.k_proj", "attention.wk"},
                                      {"self_attn.v_proj", "attention.wv"},
                                      {"self_attn.o_proj", "attention.wo"},
                                      {"input_layernorm", "attention_norm"},
                                      {"post_attention_layernorm", "ffn_norm"},
                                      {"mlp.gate_proj", "feed_forward.w1"},
                                      {"mlp.down_proj", "feed_forward.w2"},
                                      {"mlp.up_proj", "feed_forward.w3"}});
  for (auto& [name, bytes] : weights) {
    if (absl::StrContains(name, "attention.wq")) bytes = Interleaved(bytes, 4);
    if (absl::StrContains(name, "attention.wk")) bytes = Interleaved(bytes, 2);
  }
  return weights;
}

Weights LegacyReference() {
  const Weights hf = Reference("hf");
  Weights weights = {
      {"transformer.wte.weight", hf.at("model.embed_tokens.weight")},
      {"transformer.ln_f.weight", hf.at("model.norm.weight")},
      {"transformer.ff_out.weight", hf.at("lm_head.weight")}};
  for (int64_t i = 0; i < kLayers; ++i) {
    const auto get = [&](const std::string& name) {
      return hf.at(absl::StrCat("model.layers.", i, ".", name, ".weight"));
    };
    const auto set = [&](const std::string& name, const std::string& bytes) {
      weights[absl::StrCat("transformer.blocks.", i, ".", name, ".weight")] =
          bytes;
    };
    set("att_proj", get("self_attn.q_proj") + get("self_attn.k_proj") +
                        get("self_attn.v_proj"));
    set("attn_out", get("self_attn.o_proj"));
    set("q_norm", get("self_attn.q_norm"));
    set("k_norm", get("self_attn.k_norm"));
    set("attn_norm", get("post_attention_layernorm"));
    set("ff_norm", get("post_feedforward_layernorm"));
    set("ff_proj", get("mlp.up_proj") + get("mlp.gate_proj"));
    set("ff_out", get("mlp.down_proj"));
  }
  return weights;
}

// Says which tensor differs, not what is in it.
void ExpectSame(const Weights& read, const Weights& want) {
  for (const auto& [name, bytes] : want) {
    const auto found = read.find(name);
    ASSERT_NE(found, read.end()) << "no " << name;
    EXPECT_TRUE(found->second == bytes) << name << " differs";
  }
  EXPECT_EQ(read.size(), want.size());
}

TEST(DcpTest, OneFileOfManyArchivesIsReadBitForBit) {
  ExpectSame(ReadAll(OpenNested("olmo_core")), OlmoCoreReference());
}

TEST(DcpTest, FourRanksAreJoined) {
  ExpectSame(ReadAll(OpenNested("olmo_core_4_ranks")), OlmoCoreReference());
}

TEST(DcpTest, AModelWithoutAFolderOfItsOwnIsRead) {
  ExpectSame(ReadAll(OpenTop("olmo_core_model_only")), OlmoCoreReference());
}

TEST(DcpTest, TheLegacyTrainersShardedFormIsRead) {
  ExpectSame(ReadAll(OpenTop("legacy_dcp")), LegacyReference());
}

TEST(DcpTest, TorchtitansKeysAreRead) {
  ExpectSame(ReadAll(OpenTop("torchtitan")), TorchtitanReference());
}

TEST(DcpTest, RowsAreReadAcrossRanks) {
  const auto contents = OpenNested("olmo_core_4_ranks");
  ASSERT_TRUE(contents.ok()) << contents.status();
  const Weights want = OlmoCoreReference();
  int num_split = 0;
  for (const StoredTensor& tensor : contents->tensors) {
    const std::string& bytes = want.at(tensor.name);
    const int64_t rows = tensor.shape[0];
    const int64_t row = static_cast<int64_t>(bytes.size()) / rows;
    num_split += tensor.pieces.size() == 4;
    for (int64_t first = 0; first < rows; first += 5) {
      const RowRange range = {first, std::min<int64_t>(rows - first, 13)};
      EXPECT_TRUE(ReadRange(*contents, tensor, range) ==
                  bytes.substr(first * row, range.count * row))
          << tensor.name << " from row " << first;
    }
  }
  EXPECT_EQ(num_split, static_cast<int>(contents->tensors.size()));
}

TEST(DcpTest, OnlyPiecesWithRowsThatAreAskedForAreLocated) {
  const auto contents = OpenNested("olmo_core_4_ranks");
  ASSERT_TRUE(contents.ok()) << contents.status();
  for (const StoredTensor& tensor : contents->tensors) {
    if (tensor.name != "embeddings.weight") continue;
    const auto pieces = [&](const std::vector<RowRange>& ranges) {
      const auto located = LocatePieces(*contents, tensor, ranges);
      EXPECT_TRUE(located.ok()) << located.status();
      return located.ok() ? located->pieces.size() : 99;
    };
    EXPECT_EQ(pieces({{0, 17}}), 1u);
    EXPECT_EQ(pieces({{16, 2}}), 2u);
    EXPECT_EQ(pieces({{0, 1}, {65, 1}}), 2u);
    EXPECT_EQ(pieces({}), 0u);
    return;
  }
  FAIL() << "no embedding";
}

// A copy of a checkpoint, to be spoiled.
class SpoiledDcpTest : public ::testing::Test {
 protected:
  SpoiledDcpTest() {
    fs::copy(absl::StrCat(kData, "olmo_core_4_ranks"), folder_,
             fs::copy_options::recursive);
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      fs::permissions(entry.path(), fs::perms::owner_write,
                      fs::perm_options::add);
    }
  }

  absl::StatusOr<Contents> Open() {
    return OpenModelAndOptim(folder_, RealFolder(folder_));
  }
  std::string Path(const std::string& name) const {
    return folder_ + "/model_and_optim/" + name;
  }

  base::TempFolder temp_;
  const std::string folder_ = temp_ / "step1000";
};

TEST_F(SpoiledDcpTest, AFileThatIsNotThereYetIsIncomplete) {
  fs::remove(Path("__2_1.distcp"));
  files::ExpectError(Open().status(), kIncomplete,
                     {Path("__2_1.distcp"), "not there"});
}

TEST_F(SpoiledDcpTest, AFileThatIsTooShortIsIncomplete) {
  const auto size = fs::file_size(Path("__3_0.distcp"));
  fs::resize_file(Path("__3_0.distcp"), size - 1);
  const absl::Status status = Open().status();
  // Whether the last item is a weight or belongs to the optimizer.
  if (!status.ok()) {
    files::ExpectError(status, kIncomplete, {Path("__3_0.distcp"), "asks for"});
  }
  fs::resize_file(Path("__3_0.distcp"), 1000);
  files::ExpectError(Open().status(), kIncomplete,
                     {Path("__3_0.distcp"), "incomplete: 1000 bytes"});
}

TEST_F(SpoiledDcpTest, MetadataThatEndsTooEarlyIsIncomplete) {
  fs::resize_file(Path(".metadata"), 4000);
  files::ExpectError(Open().status(), kIncomplete, {Path(".metadata"), "4000"});
  fs::resize_file(Path(".metadata"), 0);
  files::ExpectError(Open().status(), kIncomplete, {Path(".metadata")});
}

TEST_F(SpoiledDcpTest, MetadataAboveTheLimitIsNotRead) {
  fs::resize_file(Path(".metadata"), (160 << 20) + 1);
  files::ExpectError(Open().status(), kUnsupported,
                     {Path(".metadata"), "167772161"});
}

TEST_F(SpoiledDcpTest, AFileThatLinksOutOfTheFolderIsNotRead) {
  fs::rename(Path("__1_0.distcp"), temp_ / "elsewhere");
  fs::create_symlink(temp_ / "elsewhere", Path("__1_0.distcp"));
  files::ExpectError(Open().status(), kUnsupported,
                     {Path("__1_0.distcp"), "outside of"});
}

TEST_F(SpoiledDcpTest, StrayFilesOfAWriterAreNotLookedAt) {
  files::WriteFile(Path("tmp1234.distcp"), "half");
  files::WriteFile(Path("tmp1234.tmp"), "half");
  files::WriteFile(Path("__9_9.distcp"), "of an older save");
  EXPECT_TRUE(Open().ok());
}

// What the archives hold must be what the metadata says. The embedding of
// olmo_core is the first archive of its file.
class ArchiveTest : public ::testing::Test {
 protected:
  absl::Status Read(const std::string& tensor, int64_t offset, int64_t length) {
    base::TempFolder temp;
    fs::create_directories(temp / "c");
    fs::copy(absl::StrCat(kData, "olmo_core/model_and_optim/__0_0.distcp"),
             temp / "c/__0_0.distcp");
    files::WriteFile(temp / "c/config.json", "{}");
    dcp_bytes::Metadata metadata;
    metadata.tensors = {{dcp_bytes::Str("w"), tensor}};
    metadata.storage = {{dcp_bytes::Index("w", dcp_bytes::Size({0, 0})),
                         dcp_bytes::Place("__0_0.distcp", offset, length)}};
    files::WriteFile(temp / "c/.metadata", metadata.Bytes());
    const auto contents = OpenDcp(temp / "c", RealFolder(temp / "c"));
    if (!contents.ok()) return contents.status();
    return LocatePieces(*contents, contents->tensors[0], {{0, 1}}).status();
  }

  static std::string Tensor(const std::vector<int64_t>& size,
                            const std::string& dtype = "float32") {
    return dcp_bytes::Tensor(
        size, {dcp_bytes::Chunk({0, 0}, size)},
        dcp_bytes::Properties(dcp_bytes::Global("torch", dtype)));
  }

  static constexpr int64_t kLength = 10025;  // as the fixture's metadata says
};

TEST_F(ArchiveTest, TheRightOneIsLocated) {
  const absl::Status status = Read(Tensor({66, 32}), 0, kLength);
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(ArchiveTest, AnotherShapeIsCorrupt) {
  files::ExpectError(
      Read(Tensor({65, 32}), 0, kLength), kCorrupt,
      {"__0_0.distcp", "byte 0", "[66,32] of F32", "[65,32]", "'w'"});
  files::ExpectError(Read(Tensor({32, 66}), 0, kLength), kCorrupt, {"[32,66]"});
}

TEST_F(ArchiveTest, AnotherDtypeIsCorrupt) {
  files::ExpectError(Read(Tensor({66, 32}, "bfloat16"), 0, kLength), kCorrupt,
                     {"[66,32] of F32", "of BF16"});
  files::ExpectError(Read(Tensor({66, 32}, "int32"), 0, kLength), kCorrupt,
                     {"of I32"});
}

TEST_F(ArchiveTest, ASliceThatIsNoArchiveIsRefused) {
  const std::string tensor = Tensor({66, 32});
  files::ExpectError(Read(tensor, 1, kLength - 1), kCorrupt, {"zip"});
  files::ExpectError(Read(tensor, 0, kLength - 1), kIncomplete, {"zip"});
  files::ExpectError(Read(tensor, 0, kLength + 1), kCorrupt, {"zip"});
  // Two archives in one slice: the directory at its end is the second's.
  files::ExpectError(Read(tensor, 0, 2 * kLength), kCorrupt, {"zip"});
}

}  // namespace
}  // namespace sinkwatch::checkpoint
