#include "tests/containers/rewritten_testing.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/checkpoint/container/dcp_testing.h"
#include "worker/checkpoint/container/torch_pickle_testing.h"
#include "worker/checkpoint/container/zip_testing.h"
#include "worker/checkpoint/writer.h"
#include "worker/files/files_testing.h"

namespace sinkwatch {
namespace {

using Weights = std::map<std::string, at::Tensor>;

std::string BytesOf(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

// A tensor of data.pkl whose storage is number `key` of the archive.
std::string Pickled(const at::Tensor& tensor, size_t key) {
  checkpoint::PickledTensor pickled;
  if (tensor.scalar_type() == at::kBFloat16) {
    pickled.type = "torch\nBFloat16Storage";
  }
  pickled.key = checkpoint::PickledString(absl::StrCat(key));
  pickled.count = checkpoint::PickledInt(tensor.numel());
  pickled.sizes = checkpoint::PickledTuple(tensor.sizes().vec());
  pickled.strides = checkpoint::PickledTuple(tensor.strides().vec());
  return pickled.Bytes();
}

// What torch.save writes of a dict of tensors.
std::string ArchiveOf(const Weights& weights) {
  std::string pickle = "\x80\x02}";
  checkpoint::ZipMembers storages;
  for (const auto& [name, tensor] : weights) {
    absl::StrAppend(&pickle, checkpoint::PickledString(name),
                    Pickled(tensor, storages.size()), "s");
    storages.emplace_back(absl::StrCat("archive/data/", storages.size()),
                          BytesOf(tensor));
  }
  storages.emplace_back("archive/data.pkl", pickle + ".");
  return checkpoint::MakeZip(storages).bytes;
}

// The same of one tensor by itself: an item of a .distcp file.
std::string ArchiveOf(const at::Tensor& tensor) {
  return checkpoint::MakeZip(
             {{"archive/data.pkl", "\x80\x02" + Pickled(tensor, 0) + "."},
              {"archive/data/0", BytesOf(tensor)}})
      .bytes;
}

void WriteFile(const std::string& path, const Weights& weights, bool torch) {
  if (torch) {
    files::WriteFile(path, ArchiveOf(weights));
  } else {
    EXPECT_TRUE(checkpoint::WriteSafetensors(path, weights).ok());
  }
}

// Every second tensor in the second of two files, and an index.
void WriteShards(const std::string& folder, const Weights& weights,
                 bool torch) {
  const std::string stem = torch ? "pytorch_model" : "model";
  const std::string suffix = torch ? ".bin" : ".safetensors";
  Weights shards[2];
  nlohmann::json index;
  for (const auto& [name, tensor] : weights) {
    const int number = shards[0].size() > shards[1].size() ? 1 : 0;
    shards[number][name] = tensor;
    index["weight_map"][name] =
        absl::StrCat(stem, "-0000", number + 1, "-of-00002", suffix);
  }
  for (const int number : {0, 1}) {
    WriteFile(absl::StrCat(folder, "/", stem, "-0000", number + 1, "-of-00002",
                           suffix),
              shards[number], torch);
  }
  files::WriteFile(absl::StrCat(folder, "/", stem, suffix, ".index.json"),
                   index.dump());
}

void WriteDcp(const std::string& folder, const Weights& weights) {
  namespace dcp = checkpoint::dcp_bytes;
  dcp::Metadata metadata;
  dcp::Items paths;  // says that no dict "model" was saved
  std::string data;
  for (const auto& [name, tensor] : weights) {
    const std::string item = ArchiveOf(tensor);
    const std::vector<int64_t> sizes = tensor.sizes().vec();
    const std::vector<int64_t> origin(sizes.size(), 0);
    const bool wide = tensor.scalar_type() == at::kFloat;
    metadata.tensors.push_back(
        {dcp::Str(name),
         dcp::Tensor(sizes, {dcp::Chunk(origin, sizes)},
                     dcp::Properties(dcp::Global(
                         "torch", wide ? "float32" : "bfloat16")))});
    metadata.storage.push_back(
        {dcp::Index(name, dcp::Size(origin)),
         dcp::Place("__0_0.distcp", static_cast<int64_t>(data.size()),
                    static_cast<int64_t>(item.size()))});
    paths.push_back({dcp::Str(name), dcp::Tuple({dcp::Str(name)})});
    data += item;
  }
  metadata.planner_data = dcp::Dict(paths);
  files::WriteFile(folder + "/__0_0.distcp", data);
  files::WriteFile(folder + "/.metadata", metadata.Bytes());
}

}  // namespace

const char* NameOf(Container container) {
  switch (container) {
    case Container::kShards:
      return "Shards";
    case Container::kTorch:
      return "Torch";
    case Container::kTorchShards:
      return "TorchShards";
    case Container::kDcp:
      return "Dcp";
  }
  return "";
}

void WriteAs(Container container, const std::string& folder,
             const std::string& config_path, const Weights& weights) {
  std::filesystem::copy_file(config_path, folder + "/config.json");
  switch (container) {
    case Container::kShards:
      return WriteShards(folder, weights, /*torch=*/false);
    case Container::kTorch:
      return WriteFile(folder + "/pytorch_model.bin", weights, /*torch=*/true);
    case Container::kTorchShards:
      return WriteShards(folder, weights, /*torch=*/true);
    case Container::kDcp:
      return WriteDcp(folder, weights);
  }
}

}  // namespace sinkwatch
