#include "worker/checkpoint/writer.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "worker/files/durable_file.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

// nullptr for a dtype that is not written.
const char* DtypeName(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return "F32";
    case at::kBFloat16:
      return "BF16";
    case at::kHalf:
      return "F16";
    default:
      return nullptr;
  }
}

struct NamedTensor {
  std::string name;
  at::Tensor tensor;  // on the CPU, contiguous
};

// The tensors in the order of the reference writer: those of wide elements
// first, which keeps each aligned to its elements, then by name.
absl::StatusOr<std::vector<NamedTensor>> Ordered(
    const std::map<std::string, at::Tensor>& tensors) {
  std::vector<NamedTensor> ordered;
  for (const auto& [name, tensor] : tensors) {
    if (name == "__metadata__") {
      return absl::InvalidArgumentError(
          "__metadata__ cannot be the name of a tensor");
    }
    if (!tensor.defined() || DtypeName(tensor.scalar_type()) == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor ", files::Quoted(name), ": its dtype cannot be written"));
    }
    ordered.push_back({name, tensor.detach().cpu().contiguous()});
  }
  std::sort(ordered.begin(), ordered.end(),
            [](const NamedTensor& a, const NamedTensor& b) {
              const auto a_width = a.tensor.element_size();
              const auto b_width = b.tensor.element_size();
              return std::tie(b_width, a.name) < std::tie(a_width, b.name);
            });
  return ordered;
}

std::string JsonString(const std::string& text) {
  return Json(text).dump(-1, ' ', /*ensure_ascii=*/false,
                         Json::error_handler_t::replace);
}

// The length field and the JSON, padded so that the data begin at a multiple
// of 8.
std::string HeaderOf(const std::vector<NamedTensor>& ordered) {
  std::vector<std::string> entries;
  int64_t offset = 0;
  for (const auto& [name, tensor] : ordered) {
    const int64_t end = offset + static_cast<int64_t>(tensor.nbytes());
    entries.push_back(absl::StrCat(
        JsonString(name), ":{\"dtype\":\"", DtypeName(tensor.scalar_type()),
        "\",\"shape\":[", absl::StrJoin(tensor.sizes(), ","),
        "],\"data_offsets\":[", offset, ",", end, "]}"));
    offset = end;
  }
  std::string json = absl::StrCat("{", absl::StrJoin(entries, ","), "}");
  json.append((8 - json.size() % 8) % 8, ' ');
  std::string length(8, '\0');
  for (int i = 0; i < 8; ++i) {
    length[i] = static_cast<char>(json.size() >> (8 * i) & 0xff);
  }
  return length + json;
}

}  // namespace

absl::Status WriteSafetensors(
    const std::string& path, const std::map<std::string, at::Tensor>& tensors) {
  absl::StatusOr<std::vector<NamedTensor>> ordered = Ordered(tensors);
  if (!ordered.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", ordered.status().message()));
  }
  const std::string header = HeaderOf(*ordered);
  std::vector<absl::string_view> parts = {header};
  for (const auto& [name, tensor] : *ordered) {
    parts.emplace_back(static_cast<const char*>(tensor.const_data_ptr()),
                       tensor.nbytes());
  }
  return files::WriteDurably(path, parts);
}

absl::Status WriteCheckpoint(const std::string& folder, const Json& config,
                             const std::map<std::string, at::Tensor>& tensors) {
  if (absl::Status s = files::BeginFolder(folder); !s.ok()) return s;
  const std::string temporary = files::TemporaryName(folder);
  const std::string config_text =
      config.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  absl::Status s = files::WriteDurably(absl::StrCat(temporary, "/config.json"),
                                       {config_text});
  if (s.ok()) {
    s = WriteSafetensors(absl::StrCat(temporary, "/model.safetensors"),
                         tensors);
  }
  if (!s.ok()) return s;
  return files::PublishFolder(folder);
}

}  // namespace sinkwatch::checkpoint
