#include "worker/checkpoint/detect.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "worker/checkpoint/config/model_config.h"
#include "worker/checkpoint/container/dcp.h"
#include "worker/checkpoint/container/safetensors.h"
#include "worker/checkpoint/container/sharded.h"
#include "worker/checkpoint/container/torch_container.h"
#include "worker/files/file.h"

namespace sinkwatch::checkpoint {
namespace {

// Folders of steps, and of their stages, in a snapshot of a download cache.
constexpr int kDeepestInSnapshot = 4;

// The first whose marker is there counts. Of Hugging Face's in the order of
// transformers' from_pretrained: a single file goes before an index beside it.
constexpr Container kContainers[] = {
    {"model_and_optim/.metadata", OpenModelAndOptim},
    {".metadata", OpenDcp},
    {"model.safetensors", OpenSafetensors},
    {"model.safetensors.index.json", OpenShardedSafetensors},
    {"pytorch_model.bin", OpenTorchBin},
    {"pytorch_model.bin.index.json", OpenShardedTorchBin},
    {"model.pt", OpenTorchModel},
};

// The same for shards without their index.
constexpr struct {
  Container container;
  const char* stem;
  const char* suffix;
} kWithoutIndex[] = {
    {{"model.safetensors.index.json", OpenShardedSafetensors},
     "model",
     ".safetensors"},
    {{"pytorch_model.bin.index.json", OpenShardedTorchBin},
     "pytorch_model",
     ".bin"},
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
        ": a file; a checkpoint is a folder of config.json and weights, or a "
        "file whose name ends in .pt, .pth, .ckpt or .safetensors with a "
        "config beside it, or in .bin (llama2.c)"));
  }
  // What cannot be searched must not look as if nothing were in it.
  if (there && ::access(folder.c_str(), R_OK | X_OK) == 0) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(folder, ": ", ::strerror(errno)));
}

// transformers loads an adapter of PEFT over the weights that it lies beside.
absl::Status CheckNoAdapter(const std::string& folder) {
  const std::string adapter = absl::StrCat(folder, "/adapter_config.json");
  if (!Exists(adapter)) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat(
      adapter,
      ": an adapter (LoRA) of the weights, which transformers loads with them, "
      "not implemented: merge it (merge_and_unload), or take the file away if "
      "it is merged"));
}

// The download cache in which the folder lies, as snapshots/<commit> or in one:
// its files are links into blobs. Empty if it lies in none.
std::string CacheAround(const std::string& real_folder) {
  std::string around = files::ParentOf(real_folder);
  if (absl::EndsWith(around, "/snapshots")) return files::ParentOf(around);
  for (int up = 0; up < kDeepestInSnapshot && around != "/"; ++up) {
    around = files::ParentOf(around);
    if (!absl::EndsWith(around, "/snapshots")) continue;
    const std::string cache = files::ParentOf(around);
    if (Exists(cache + "/blobs") && Exists(cache + "/refs")) return cache;
  }
  return "";
}

// The folder around `real_folder`: a step's neighbours, or a download cache.
// Not the root of the system.
std::string FolderAround(const std::string& real_folder) {
  std::string around = CacheAround(real_folder);
  if (around.empty()) around = files::ParentOf(real_folder);
  return around == "/" ? real_folder : around;
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

}  // namespace

bool IsLlama2cPath(const std::string& path) {
  struct stat info;
  return absl::EndsWith(path, ".bin") && ::stat(path.c_str(), &info) == 0 &&
         S_ISREG(info.st_mode);
}

absl::StatusOr<const Container*> FindContainer(const std::string& folder) {
  RETURN_IF_ERROR(CheckIsFolder(folder));
  RETURN_IF_ERROR(CheckNoAdapter(folder));
  for (const Container& container : kContainers) {
    if (Exists(absl::StrCat(folder, "/", container.marker))) return &container;
  }
  for (const auto& shards : kWithoutIndex) {
    if (!OnlySetOfShards(folder, shards.stem, shards.suffix).empty()) {
      return &shards.container;
    }
  }
  return NoWeightsError(folder);
}

absl::StatusOr<std::string> ConfinementOf(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::string real_folder,
                   files::RealPathOfFolder(folder));
  std::string around = FolderAround(real_folder);
  const std::string config = FindModelConfig(folder);
  if (config.empty()) return around;
  ASSIGN_OR_RETURN(std::string home, files::RealFolderOf(config));
  return home == around || files::IsBelow(home, around) ? around : home;
}

}  // namespace sinkwatch::checkpoint
