#include "worker/checkpoint/checkpoint.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "ATen/ops/empty.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "worker/checkpoint/config/model_config.h"
#include "worker/checkpoint/container/dcp.h"
#include "worker/checkpoint/container/llama2c.h"
#include "worker/checkpoint/container/safetensors.h"
#include "worker/checkpoint/container/torch_container.h"
#include "worker/checkpoint/finite.h"
#include "worker/checkpoint/locate_pieces.h"
#include "worker/files/strict_json.h"
#include "xxhash.h"

namespace sinkwatch::checkpoint {
namespace {

// A container, known by a file that it has. The first whose marker is there
// counts.
struct Container {
  const char* marker;
  absl::StatusOr<Contents> (*open)(const std::string& folder,
                                   const std::string& confinement);
};
constexpr Container kContainers[] = {
    {"model_and_optim/.metadata", OpenModelAndOptim},
    {".metadata", OpenDcp},
    {"model.safetensors.index.json", OpenShardedSafetensors},
    {"model.safetensors", OpenSafetensors},
    {"pytorch_model.bin.index.json", OpenShardedTorchBin},
    {"pytorch_model.bin", OpenTorchBin},
    {"model.pt", OpenTorchModel},
};

// Weights of other containers, which mark a folder as one we cannot read. None
// of them is ever opened.
constexpr struct {
  const char* marker;
  const char* what;
} kOtherContainers[] = {
    {"model_and_optim/__0.metadata", "metadata of single ranks"},
    {"__0.metadata", "metadata of single ranks"},
    {"rank0.pt", "a ShardedTensor in one pickle per rank"},
    {"model/rank0.pt", "flat FSDP parameters in one pickle per rank"},
    {"consolidated.00.pth", "Meta's files of a model's parts"},
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

TypeOfDtype TypeOf(const Dtype& dtype) {
  for (const TypeOfDtype& type : kTypes) {
    if (type.dtype == dtype.name) return type;
  }
  return {dtype.name, at::ScalarType::Undefined, false};
}

bool Exists(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

// Whether `path` asks for a file of llama2.c, the one container that is no
// folder.
bool IsLlama2cPath(const std::string& path) {
  struct stat info;
  return absl::EndsWith(path, ".bin") && ::stat(path.c_str(), &info) == 0 &&
         S_ISREG(info.st_mode);
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
        ": a file; a checkpoint is a folder of config.json and weights, or a "
        "file of llama2.c, whose name ends in .bin"));
  }
  // What cannot be searched must not look as if nothing were in it.
  if (there && ::access(folder.c_str(), R_OK | X_OK) == 0) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(folder, ": ", ::strerror(errno)));
}

const Container* FindContainer(const std::string& folder) {
  for (const Container& container : kContainers) {
    if (Exists(absl::StrCat(folder, "/", container.marker))) return &container;
  }
  return nullptr;
}

// The folder around `real_folder`: a step's neighbours, or a download cache,
// whose snapshots/<commit> are links into blobs. Not the root of the system.
std::string FolderAround(const std::string& real_folder) {
  std::string around = ParentOf(real_folder);
  if (absl::EndsWith(around, "/snapshots")) around = ParentOf(around);
  return around == "/" ? real_folder : around;
}

// Below which folder the files of `folder` must lie once links are followed:
// the one around it, or that of its config, where somebody made a folder of
// links to the files of another.
absl::StatusOr<std::string> ConfinementOf(const std::string& folder) {
  const absl::StatusOr<std::string> real_folder = RealPathOfFolder(folder);
  if (!real_folder.ok()) return real_folder.status();
  std::string around = FolderAround(*real_folder);
  const std::string config = FindModelConfig(folder);
  if (config.empty()) return around;
  absl::StatusOr<std::string> home = RealFolderOf(config);
  if (!home.ok()) return home;
  return *home == around || IsBelow(*home, around) ? around : *home;
}

// A file shard-00001-model-00001-of-00002.safetensors; empty if there is none.
std::string FindRankShard(const std::string& folder) {
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (absl::StartsWith(name, "shard-") &&
        absl::EndsWith(name, ".safetensors")) {
      return name;
    }
  }
  return "";
}

absl::Status NoWeightsError(const std::string& folder) {
  for (const auto& other : kOtherContainers) {
    if (!Exists(absl::StrCat(folder, "/", other.marker))) continue;
    return absl::UnimplementedError(absl::StrCat(
        folder, "/", other.marker, ": ", other.what, ", not implemented"));
  }
  if (const std::string shard = FindRankShard(folder); !shard.empty()) {
    return absl::UnimplementedError(absl::StrCat(
        folder, "/", shard,
        ": parts of tensors in one file per rank (torch's Hugging Face writer "
        "before it consolidates), not implemented"));
  }
  if (Exists(absl::StrCat(folder, "/model_and_optim"))) {
    return absl::FailedPreconditionError(absl::StrCat(
        folder,
        "/model_and_optim: incomplete: .metadata is not there, which "
        "is written last"));
  }
  return absl::FailedPreconditionError(
      absl::StrCat(folder,
                   ": incomplete: neither model.safetensors nor "
                   "model.safetensors.index.json nor .metadata is there"));
}

// What is wrong with reading `tensor` as `shape`, or OK.
absl::Status CheckReadable(const StoredTensor& tensor,
                           const std::vector<int64_t>& shape) {
  if (!TypeOf(*tensor.dtype).readable) {
    return absl::UnimplementedError(
        absl::StrCat("dtype ", tensor.dtype->name, " is not implemented"));
  }
  if (tensor.shape == shape) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("has shape [", absl::StrJoin(tensor.shape, ","),
                   "], the config asks for [", absl::StrJoin(shape, ","), "]"));
}

absl::StatusOr<at::Tensor> Allocate(const StoredTensor& tensor,
                                    const std::vector<RowRange>& ranges) {
  std::vector<int64_t> shape = tensor.shape;
  if (!shape.empty()) {
    shape[0] = 0;
    for (const RowRange& range : ranges) shape[0] += range.count;
  }
  try {
    return at::empty(shape, TypeOf(*tensor.dtype).type);
  } catch (const std::exception&) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for [", absl::StrJoin(shape, ","), "] of ",
                     tensor.dtype->name));
  }
}

int64_t RowsOf(const at::Tensor& tensor) {
  return tensor.dim() == 0 ? 1 : tensor.size(0);
}

// `error` with the file and the tensor that it is about.
absl::Status AtTensor(const Contents& contents, const StoredTensor& tensor,
                      const absl::Status& error) {
  const std::string& path = contents.files[tensor.pieces.front().file]->path();
  return absl::Status(error.code(),
                      absl::StrCat(path, ": tensor ", Quoted(tensor.name), ": ",
                                   error.message()));
}

// That the files of a tensor are those that were opened.
absl::Status CheckFilesOf(const Contents& contents,
                          const StoredTensor& tensor) {
  std::set<size_t> files;
  for (const Piece& piece : tensor.pieces) files.insert(piece.file);
  for (size_t file : files) {
    absl::Status status = contents.files[file]->CheckUnchanged();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// " (file offset N)" where the element's place in its file is plain to see.
std::string FileOffset(const StoredTensor& tensor,
                       const std::vector<RowRange>& ranges, int64_t element) {
  const bool dense = tensor.pieces.size() == 1 && ranges.size() == 1 &&
                     tensor.pieces[0].sizes == tensor.shape &&
                     tensor.pieces[0].strides == RowMajorStrides(tensor.shape);
  if (!dense) return "";
  const int64_t row_size =
      tensor.shape.empty() ? 1 : tensor.pieces[0].strides[0];
  const int64_t offset =
      tensor.pieces[0].offset +
      (ranges[0].first * row_size + element) * (tensor.dtype->bits / 8);
  return absl::StrCat(" (file offset ", offset, ")");
}

// What a read of these rows is called among the hashes: the name alone for the
// whole tensor.
std::string HashName(const StoredTensor& tensor,
                     const std::vector<RowRange>& ranges) {
  std::string name = tensor.name;
  for (const RowRange& range : ranges) {
    const bool whole = tensor.shape.empty() || range.count == tensor.shape[0];
    if (!whole) absl::StrAppend(&name, "[", range.first, "+", range.count, "]");
  }
  return name;
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

Checkpoint::Checkpoint(std::string folder, Config config, Contents contents)
    : folder_(std::move(folder)),
      config_(std::move(config)),
      contents_(std::move(contents)) {
  tensors_.reserve(contents_.tensors.size());
  for (const StoredTensor& tensor : contents_.tensors) {
    tensors_.push_back({tensor.name, TypeOf(*tensor.dtype).type, tensor.shape});
  }
}

Checkpoint::~Checkpoint() = default;

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(
    const std::string& folder, const std::string& model_config) {
  if (IsLlama2cPath(folder)) return OpenLlama2cFile(folder);
  if (absl::Status s = CheckIsFolder(folder); !s.ok()) return s;
  const Container* container = FindContainer(folder);
  if (container == nullptr) return NoWeightsError(folder);
  absl::StatusOr<std::string> confinement = ConfinementOf(folder);
  if (!confinement.ok()) return confinement.status();
  absl::StatusOr<Config> config =
      ReadModelConfig(folder, *confinement, model_config);
  if (!config.ok()) return config.status();
  absl::StatusOr<Contents> contents = container->open(folder, *confinement);
  if (!contents.ok()) return contents.status();
  return Create(folder, *std::move(config), *std::move(contents));
}

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::OpenLlama2cFile(
    const std::string& path) {
  absl::StatusOr<Llama2c> model = OpenLlama2c(path);
  if (!model.ok()) return model.status();
  absl::StatusOr<Config> config = Config::Parse(path, model->config_json);
  if (!config.ok()) return config.status();
  return Create(path, *std::move(config), std::move(model->contents));
}

std::unique_ptr<Checkpoint> Checkpoint::Create(std::string folder,
                                               Config config,
                                               Contents contents) {
  auto by_name = [](const StoredTensor& a, const StoredTensor& b) {
    return a.name < b.name;
  };
  std::sort(contents.tensors.begin(), contents.tensors.end(), by_name);
  return std::unique_ptr<Checkpoint>(new Checkpoint(
      std::move(folder), std::move(config), std::move(contents)));
}

const TensorInfo* Checkpoint::Find(const std::string& name) const {
  auto found = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const TensorInfo& a, const std::string& b) { return a.name < b; });
  return found == tensors_.end() || found->name != name ? nullptr : &*found;
}

absl::StatusOr<at::Tensor> Checkpoint::ReadTensor(
    const std::string& name, const std::vector<int64_t>& shape) {
  return ReadRows(name, shape, {{0, shape.empty() ? 1 : shape[0]}});
}

absl::StatusOr<at::Tensor> Checkpoint::ReadRows(
    const std::string& name, const std::vector<int64_t>& shape,
    const std::vector<RowRange>& ranges) {
  const auto stored = FindReadable(name, shape);
  if (!stored.ok()) return stored.status();
  return Read(**stored, ranges);
}

absl::Status Checkpoint::CheckTensor(const std::string& name,
                                     const std::vector<int64_t>& shape) const {
  return FindReadable(name, shape).status();
}

absl::StatusOr<const StoredTensor*> Checkpoint::FindReadable(
    const std::string& name, const std::vector<int64_t>& shape) const {
  const TensorInfo* info = Find(name);
  if (info == nullptr) {
    return absl::DataLossError(
        absl::StrCat(folder_, ": tensor ", Quoted(name), " is not there"));
  }
  const StoredTensor& stored = contents_.tensors[info - tensors_.data()];
  absl::Status status = CheckReadable(stored, shape);
  if (!status.ok()) return AtTensor(contents_, stored, status);
  return &stored;
}

absl::StatusOr<at::Tensor> Checkpoint::Read(
    const StoredTensor& stored, const std::vector<RowRange>& ranges) {
  absl::StatusOr<at::Tensor> tensor = Allocate(stored, ranges);
  if (!tensor.ok()) return AtTensor(contents_, stored, tensor.status());
  char* const data = static_cast<char*>(tensor->mutable_data_ptr());
  const int64_t num_bytes = tensor->numel() * tensor->element_size();
  const absl::StatusOr<StoredTensor> located =
      LocatePieces(contents_, stored, ranges);
  absl::Status read = located.status();
  char* out = data;
  for (const RowRange& range : ranges) {
    if (!read.ok()) break;
    read = sinkwatch::checkpoint::ReadRows(contents_, *located, range, out);
    out += num_bytes / std::max<int64_t>(1, RowsOf(*tensor)) * range.count;
  }
  // A rewritten file says so before its content is judged.
  absl::Status unchanged = CheckFilesOf(contents_, stored);
  if (!unchanged.ok()) return unchanged;
  if (!read.ok()) return read;
  if (int64_t i = FirstNonFinite(*tensor); i >= 0) {
    return AtTensor(
        contents_, stored,
        absl::DataLossError(absl::StrCat(
            "element ", i, FileOffset(*located, ranges, i), " is not finite")));
  }
  const std::string name = HashName(stored, ranges);
  XxhState state = NewXxhState();
  HashSized(state.get(), name.data(), name.size());
  HashSized(state.get(), data, num_bytes);
  hashes_[name] = Finish(state);
  return tensor;
}

absl::Status Checkpoint::CheckUnchanged() const {
  for (const std::unique_ptr<File>& file : contents_.files) {
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
