#include "worker/checkpoint/checkpoint.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "ATen/ops/empty.h"
#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "worker/checkpoint/config/model_config.h"
#include "worker/checkpoint/container/llama2c.h"
#include "worker/checkpoint/detect.h"
#include "worker/checkpoint/flat_file.h"
#include "worker/checkpoint/wrapped_names.h"
#include "worker/files/fields.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

absl::StatusOr<at::Tensor> Empty(const RowsReader& reader) {
  try {
    return at::empty(reader.shape(), reader.type());
  } catch (const std::exception&) {
    return reader.NoMemory();
  }
}

absl::StatusOr<at::Tensor> ReadAll(const RowsReader& reader) {
  ASSIGN_OR_RETURN(const at::Tensor tensor, Empty(reader));
  char* const out = static_cast<char*>(tensor.mutable_data_ptr());
  const int64_t step = RowsOfPart(reader.row_bytes());
  for (int64_t row = 0; row < reader.rows(); row += step) {
    RETURN_IF_ERROR(reader.Read({row, std::min(step, reader.rows() - row)},
                                out + row * reader.row_bytes()));
  }
  RETURN_IF_ERROR(reader.Finish());
  return tensor;
}

// transformers reads the weights that a config names by this key, whatever else
// is in the folder.
absl::Status CheckWeightsAreNamed(const Config& config, const char* weights) {
  files::Fields fields = config.fields();
  fields.RequireString("transformers_weights", weights, weights);
  return fields.status();
}

}  // namespace

absl::Status RowsReader::Read(RowRange part, void* out) const {
  RETURN_IF_ERROR(rows_.Read(part, out));
  if (digest_ == nullptr) return absl::OkStatus();
  digest_->Add(name_, {first_ + part.first, part.count}, out,
               rows_.row_bytes());
  return absl::OkStatus();
}

std::vector<RowRange> RowsReader::ClaimDigest() const {
  if (digest_ == nullptr) return {};
  return digest_->Claim(name_, {first_, rows_.rows()});
}

void RowsReader::AddDigest(const RowHashSum& sum) const {
  if (digest_ != nullptr) digest_->AddSum(name_, sum);
}

Checkpoint::Checkpoint(std::string folder, Config config, Contents contents)
    : folder_(std::move(folder)),
      config_(std::move(config)),
      contents_(std::move(contents)) {
  tensors_.reserve(contents_.tensors.size());
  for (const StoredTensor& tensor : contents_.tensors) {
    tensors_.push_back(
        {tensor.name, ScalarTypeOf(*tensor.dtype), tensor.shape});
  }
}

Checkpoint::~Checkpoint() = default;

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(
    const std::string& folder, const std::string& model_config) {
  if (IsFlatFile(folder)) {
    ASSIGN_OR_RETURN(FlatFile file, OpenFlatFile(folder, model_config));
    return Create(folder, std::move(file.config), std::move(file.contents));
  }
  if (IsLlama2cPath(folder)) return OpenLlama2cFile(folder);
  ASSIGN_OR_RETURN(const Container* container, FindContainer(folder));
  ASSIGN_OR_RETURN(const std::string confinement, ConfinementOf(folder));
  ASSIGN_OR_RETURN(Config config,
                   ReadModelConfig(folder, confinement, model_config));
  RETURN_IF_ERROR(CheckWeightsAreNamed(config, container->marker));
  ASSIGN_OR_RETURN(Contents contents, container->open(folder, confinement));
  return Create(folder, std::move(config), std::move(contents));
}

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::OpenLlama2cFile(
    const std::string& path) {
  ASSIGN_OR_RETURN(Llama2c model, OpenLlama2c(path));
  ASSIGN_OR_RETURN(Config config, Config::Parse(path, model.config_json));
  return Create(path, std::move(config), std::move(model.contents));
}

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Create(
    std::string folder, Config config, Contents contents) {
  absl::Status unwrapped = UnwrapNames(contents.tensors);
  if (!unwrapped.ok()) {
    return absl::Status(unwrapped.code(),
                        absl::StrCat(folder, ": ", unwrapped.message()));
  }
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
  return ReadSlice(name, shape, {0, shape.empty() ? 1 : shape[0]});
}

absl::StatusOr<at::Tensor> Checkpoint::ReadSlice(
    const std::string& name, const std::vector<int64_t>& shape, RowRange rows,
    const Slab& slab) {
  ASSIGN_OR_RETURN(const RowsReader reader, OpenSlice(name, shape, rows, slab));
  return ReadAll(reader);
}

absl::StatusOr<at::Tensor> Checkpoint::ReadRows(
    const std::string& name, const std::vector<int64_t>& shape,
    const std::vector<RowRange>& ranges, const Slab& slab) {
  ASSIGN_OR_RETURN(const RowsReader reader,
                   OpenRows(name, shape, ranges, slab));
  return ReadAll(reader);
}

absl::StatusOr<RowsReader> Checkpoint::OpenSlice(
    const std::string& name, const std::vector<int64_t>& shape, RowRange rows,
    const Slab& slab) {
  ASSIGN_OR_RETURN(RowsReader reader, OpenRows(name, shape, {rows}, slab));
  reader.digest_ = &digest_;
  reader.first_ = rows.first + RowsBefore(shape, slab);
  return reader;
}

absl::StatusOr<RowsReader> Checkpoint::OpenRows(
    const std::string& name, const std::vector<int64_t>& shape,
    std::vector<RowRange> ranges, const Slab& slab) {
  ASSIGN_OR_RETURN(const StoredTensor* stored, FindReadable(name, shape));
  ASSIGN_OR_RETURN(
      CheckedRows rows,
      CheckedRows::Open(contents_, SlabOf(*stored, slab), std::move(ranges)));
  return RowsReader(std::move(rows), nullptr, name, 0);
}

absl::Status Checkpoint::CheckTensor(const std::string& name,
                                     const std::vector<int64_t>& shape) const {
  return FindReadable(name, shape).status();
}

absl::StatusOr<const StoredTensor*> Checkpoint::FindReadable(
    const std::string& name, const std::vector<int64_t>& shape) const {
  const TensorInfo* info = Find(name);
  if (info == nullptr) {
    return absl::DataLossError(absl::StrCat(
        folder_, ": tensor ", files::Quoted(name), " is not there"));
  }
  const StoredTensor& stored = contents_.tensors[info - tensors_.data()];
  RETURN_IF_ERROR(CheckReadable(contents_, stored, shape));
  return &stored;
}

absl::Status Checkpoint::CheckUnchanged() const {
  for (const std::unique_ptr<files::File>& file : contents_.files) {
    RETURN_IF_ERROR(file->CheckUnchanged());
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::checkpoint
