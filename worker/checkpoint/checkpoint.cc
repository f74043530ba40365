#include "worker/checkpoint/checkpoint.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "ATen/ops/empty.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "spdlog/spdlog.h"
#include "worker/checkpoint/finite.h"
#include "worker/checkpoint/shard_index.h"
#include "worker/checkpoint/strict_json.h"
#include "xxhash.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr char kConfigFile[] = "config.json";
constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";

// Weights of other containers, which mark a folder as one we cannot read. None
// of them is ever opened: most are pickles.
constexpr const char* kOtherContainers[] = {
    "model_and_optim/.metadata", ".metadata", "pytorch_model.bin.index.json",
    "pytorch_model.bin",         "model.pt",
};

struct TypeOfDtype {
  absl::string_view dtype;
  at::ScalarType type;
  bool readable;
};
constexpr TypeOfDtype kTypes[] = {
    {"F32", at::kFloat, true},
    {"BF16", at::kBFloat16, true},
    {"F16", at::kHalf, true},
    {"F64", at::kDouble, true},
    {"BOOL", at::kBool, false},
    {"U8", at::kByte, false},
    {"I8", at::kChar, false},
    {"I16", at::kShort, false},
    {"U16", at::kUInt16, false},
    {"I32", at::kInt, false},
    {"U32", at::kUInt32, false},
    {"I64", at::kLong, false},
    {"U64", at::kUInt64, false},
    {"C64", at::kComplexFloat, false},
    {"F8_E5M2", at::kFloat8_e5m2, false},
    {"F8_E4M3", at::kFloat8_e4m3fn, false},
};

TypeOfDtype TypeOf(const SafetensorsDtype& dtype) {
  for (const TypeOfDtype& type : kTypes) {
    if (type.dtype == dtype.name) return type;
  }
  return {dtype.name, at::ScalarType::Undefined, false};
}

bool Exists(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

absl::Status CheckIsFolder(const std::string& folder) {
  struct stat info;
  const bool there = ::stat(folder.c_str(), &info) == 0;
  if (!there && (errno == ENOENT || errno == ENOTDIR || errno == ESTALE)) {
    return absl::NotFoundError(absl::StrCat(folder, ": the folder is gone"));
  }
  if (there && !S_ISDIR(info.st_mode)) {
    return absl::UnimplementedError(absl::StrCat(
        folder,
        ": a file; a checkpoint is a folder of config.json and weights"));
  }
  // What cannot be searched must not look as if nothing were in it.
  if (there && ::access(folder.c_str(), R_OK | X_OK) == 0) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(folder, ": ", ::strerror(errno)));
}

absl::Status NoWeightsError(const std::string& folder) {
  for (const char* other : kOtherContainers) {
    if (!Exists(absl::StrCat(folder, "/", other))) continue;
    return absl::UnimplementedError(absl::StrCat(
        folder, "/", other, ": weights in this container are not implemented"));
  }
  return absl::FailedPreconditionError(
      absl::StrCat(folder, ": incomplete: neither ", kSingleFile, " nor ",
                   kIndexFile, " is there"));
}

// What is wrong with reading `entry` as `shape`, or OK.
absl::Status CheckReadable(const SafetensorsEntry& entry,
                           const std::vector<int64_t>& shape) {
  if (!TypeOf(*entry.dtype).readable) {
    return absl::UnimplementedError(
        absl::StrCat("dtype ", entry.dtype->name, " is not implemented"));
  }
  if (entry.shape == shape) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("has shape [", absl::StrJoin(entry.shape, ","),
                   "], the config asks for [", absl::StrJoin(shape, ","), "]"));
}

absl::StatusOr<at::Tensor> Allocate(const SafetensorsEntry& entry) {
  try {
    return at::empty(entry.shape, TypeOf(*entry.dtype).type);
  } catch (const std::exception&) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for ", entry.end - entry.begin, " bytes"));
  }
}

// Length first, so that no two sequences of (name, bytes) run together.
void HashSized(XXH3_state_t* state, const void* data, size_t size) {
  const uint64_t length = size;
  XXH3_128bits_update(state, &length, sizeof(length));
  XXH3_128bits_update(state, data, size);
}

using XxhState =
    std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)>;

XxhState NewXxhState() {
  XxhState state(XXH3_createState(), XXH3_freeState);
  XXH3_128bits_reset(state.get());
  return state;
}

std::array<unsigned char, 16> Finish(const XxhState& state) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state.get()));
  std::array<unsigned char, 16> hash;
  std::copy(std::begin(canonical.digest), std::end(canonical.digest),
            hash.begin());
  return hash;
}

}  // namespace

Checkpoint::Checkpoint(std::string folder, Config config)
    : folder_(std::move(folder)), config_(std::move(config)) {}

Checkpoint::~Checkpoint() = default;

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(
    const std::string& folder) {
  if (absl::Status s = CheckIsFolder(folder); !s.ok()) return s;
  const bool sharded = Exists(absl::StrCat(folder, "/", kIndexFile));
  if (!sharded && !Exists(absl::StrCat(folder, "/", kSingleFile))) {
    return NoWeightsError(folder);
  }
  const std::string config_path = absl::StrCat(folder, "/", kConfigFile);
  absl::StatusOr<Config> config = Config::Read(config_path);
  if (!config.ok()) return config.status();
  absl::StatusOr<std::string> real_folder = RealFolderOf(config_path);
  if (!real_folder.ok()) return real_folder.status();
  std::unique_ptr<Checkpoint> checkpoint(
      new Checkpoint(folder, *std::move(config)));
  absl::Status s = sharded ? checkpoint->AddShards(*real_folder)
                           : checkpoint->AddSingleFile(*real_folder);
  if (!s.ok()) return s;
  checkpoint->ListTensors();
  return checkpoint;
}

absl::Status Checkpoint::AddSingleFile(const std::string& real_folder) {
  absl::StatusOr<std::unique_ptr<File>> file =
      File::Open(absl::StrCat(folder_, "/", kSingleFile), real_folder);
  if (!file.ok()) return file.status();
  absl::StatusOr<std::vector<SafetensorsEntry>> entries =
      ReadSafetensorsHeader(**file);
  if (!entries.ok()) return entries.status();
  for (SafetensorsEntry& entry : *entries) {
    std::string name = entry.name;
    locations_[std::move(name)] = {files_.size(), std::move(entry)};
  }
  files_.push_back(*std::move(file));
  return absl::OkStatus();
}

absl::Status Checkpoint::AddShards(const std::string& real_folder) {
  const std::string path = absl::StrCat(folder_, "/", kIndexFile);
  absl::StatusOr<std::string> text =
      ReadWholeFile(path, kMaxIndexBytes, real_folder);
  if (!text.ok()) return text.status();
  absl::StatusOr<ShardIndex> index = ParseShardIndex(path, *text);
  if (!index.ok()) return index.status();
  for (const auto& [shard, listed] : *index) {
    if (absl::Status s = AddShard(real_folder, shard, listed); !s.ok()) {
      return s;
    }
  }
  return absl::OkStatus();
}

absl::Status Checkpoint::AddShard(const std::string& real_folder,
                                  const std::string& shard,
                                  const std::vector<std::string>& listed) {
  absl::StatusOr<std::unique_ptr<File>> file =
      File::Open(absl::StrCat(folder_, "/", shard), real_folder);
  if (!file.ok()) return file.status();
  absl::StatusOr<std::vector<SafetensorsEntry>> entries =
      ReadSafetensorsHeader(**file);
  if (!entries.ok()) return entries.status();
  absl::flat_hash_set<absl::string_view> missing(listed.begin(), listed.end());
  size_t num_unlisted = 0;
  for (SafetensorsEntry& entry : *entries) {
    if (missing.erase(entry.name) == 0) {
      ++num_unlisted;
      continue;
    }
    std::string name = entry.name;
    locations_[std::move(name)] = {files_.size(), std::move(entry)};
  }
  if (!missing.empty()) {
    return absl::DataLossError(absl::StrCat(
        (*file)->path(), ": tensor ",
        Quoted(*std::min_element(missing.begin(), missing.end())),
        " is not in the shard that ", kIndexFile, " names for it"));
  }
  if (num_unlisted > 0) {
    spdlog::warn("shard has tensors that its index does not list file={} n={}",
                 (*file)->path(), num_unlisted);
  }
  files_.push_back(*std::move(file));
  return absl::OkStatus();
}

void Checkpoint::ListTensors() {
  tensors_.reserve(locations_.size());
  for (const auto& [name, location] : locations_) {
    tensors_.push_back(
        {name, TypeOf(*location.entry.dtype).type, location.entry.shape});
  }
}

const TensorInfo* Checkpoint::Find(const std::string& name) const {
  auto found = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const TensorInfo& a, const std::string& b) { return a.name < b; });
  return found == tensors_.end() || found->name != name ? nullptr : &*found;
}

absl::StatusOr<at::Tensor> Checkpoint::ReadTensor(
    const std::string& name, const std::vector<int64_t>& shape) {
  auto found = locations_.find(name);
  if (found == locations_.end()) {
    return absl::DataLossError(
        absl::StrCat(folder_, ": tensor ", Quoted(name), " is not there"));
  }
  const SafetensorsEntry& entry = found->second.entry;
  const File& file = *files_[found->second.file];
  auto at_tensor = [&](const absl::Status& s) {
    return absl::Status(
        s.code(), absl::StrCat(file.path(), ": tensor ", Quoted(name), ": ",
                               s.message()));
  };
  if (absl::Status s = CheckReadable(entry, shape); !s.ok()) {
    return at_tensor(s);
  }
  absl::StatusOr<at::Tensor> tensor = Allocate(entry);
  if (!tensor.ok()) return at_tensor(tensor.status());
  const int64_t num_bytes = entry.end - entry.begin;
  void* data = tensor->mutable_data_ptr();
  absl::Status read = file.ReadAt(entry.begin, num_bytes, data);
  // A rewritten file says so before its content is judged.
  if (read.ok()) read = file.CheckUnchanged();
  if (!read.ok()) return read;
  if (int64_t i = FirstNonFinite(*tensor); i >= 0) {
    return at_tensor(absl::DataLossError(absl::StrCat(
        "element ", i, " (file offset ",
        entry.begin + i * static_cast<int64_t>(tensor->element_size()),
        ") is not finite")));
  }
  XxhState state = NewXxhState();
  HashSized(state.get(), name.data(), name.size());
  HashSized(state.get(), data, num_bytes);
  hashes_[name] = Finish(state);
  return tensor;
}

absl::Status Checkpoint::CheckUnchanged() const {
  for (const std::unique_ptr<File>& file : files_) {
    if (absl::Status s = file->CheckUnchanged(); !s.ok()) return s;
  }
  return absl::OkStatus();
}

std::string Checkpoint::ContentDigest() const {
  XxhState state = NewXxhState();
  for (const auto& [name, hash] : hashes_) {
    XXH3_128bits_update(state.get(), hash.data(), hash.size());
  }
  const Hash digest = Finish(state);
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(digest.data()), digest.size()));
}

}  // namespace sinkwatch::checkpoint
