#include "worker/checkpoint/container/dcp_metadata.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "worker/checkpoint/container/dcp_globals.h"
#include "worker/checkpoint/container/exact_cover.h"
#include "worker/checkpoint/container/torch_globals.h"
#include "worker/checkpoint/pickle/reader.h"
#include "worker/files/file.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using pickle::Kind;
using pickle::Value;

constexpr int64_t kMaxSize = (int64_t{1} << 48) - 1;
constexpr char kModelPrefix[] = "model.";

// Parts of a trainer's state that are not the model: OLMo-core's and
// torchtitan's names.
constexpr absl::string_view kOtherParts[] = {
    "optim",        "optimizer",   "optimizers", "scheduler",
    "lr_scheduler", "train_state", "trainer",    "dataloader",
};

absl::Status Corrupt(absl::string_view rule) {
  return absl::DataLossError(rule);
}

// The state of an object of class `tag`, a dict of its fields; nullptr if
// `value` is no such object.
const Value* FieldsOf(const Value* value, DcpTag tag) {
  if (value == nullptr || !value->Is(Kind::kObject) || value->tag() != tag) {
    return nullptr;
  }
  const Value* state = value->state();
  return state != nullptr && state->Is(Kind::kDict) ? state : nullptr;
}

bool IsNoneOrMissing(const Value* value) {
  return value == nullptr || value->Is(Kind::kNone);
}

// Of a torch.Size, whose one argument is a tuple of integers.
absl::StatusOr<std::vector<int64_t>> SizesOf(const Value* size) {
  const bool is_size = size != nullptr && size->Is(Kind::kObject) &&
                       size->tag() == kSize && size->args()->size() == 1;
  if (!is_size) return Corrupt("a torch.Size is not where one goes");
  const Value& tuple = *size->args()->items()[0];
  if (!tuple.Is(Kind::kTuple)) return Corrupt("a torch.Size of no tuple");
  if (tuple.size() > kMaxRank) {
    return absl::UnimplementedError(absl::StrCat(
        "rank ", tuple.size(), ", above the ", kMaxRank, " that are read"));
  }
  std::vector<int64_t> sizes;
  for (const Value* item : tuple.items()) {
    const int64_t i = item->integer();
    if (!item->Is(Kind::kInt) || i < 0 || i > kMaxSize) {
      return Corrupt(absl::StrCat("a torch.Size of ", item->Is(Kind::kInt)
                                                          ? absl::StrCat(i)
                                                          : item->Describe()));
    }
    sizes.push_back(i);
  }
  return sizes;
}

// Bytes of so many elements; DATA_LOSS above kMaxSize.
absl::StatusOr<int64_t> BytesOf(const std::vector<int64_t>& sizes,
                                const Dtype& dtype) {
  int64_t bits = dtype.bits;
  for (int64_t size : sizes) {
    if (__builtin_mul_overflow(bits, size, &bits)) bits = INT64_MAX;
  }
  const int64_t bytes = bits / 8 + (bits % 8 != 0);
  if (bytes <= kMaxSize) return bytes;
  return Corrupt(absl::StrCat("shape [", absl::StrJoin(sizes, ","),
                              "] is more than 2^48 bytes"));
}

// (dtype, layout, requires_grad, memory format, pin_memory)
absl::StatusOr<const Dtype*> DtypeOf(const Value* properties) {
  const Value* state = properties != nullptr && properties->Is(Kind::kObject) &&
                               properties->tag() == kTensorProperties
                           ? properties->state()
                           : nullptr;
  if (state == nullptr || !state->Is(Kind::kTuple) || state->size() < 2) {
    return Corrupt("no TensorProperties of dtype and layout");
  }
  const Value& dtype = *state->items()[0];
  const Value& layout = *state->items()[1];
  const bool is_layout = layout.Is(Kind::kObject) && layout.tag() == kLayout &&
                         layout.args()->size() == 1;
  if (!is_layout) return Corrupt("no layout");
  const absl::string_view name = layout.args()->items()[0]->text();
  if (name != "torch.strided") {
    return absl::UnimplementedError(
        absl::StrCat("layout ", files::Quoted(name), " is not implemented"));
  }
  if (!dtype.Is(Kind::kGlobal) || dtype.tag() != kDtype) {
    return Corrupt(absl::StrCat("dtype is ", dtype.Describe()));
  }
  const Dtype* found = DtypeOfGlobal(*dtype.global());
  if (found != nullptr) return found;
  return absl::UnimplementedError(
      absl::StrCat("dtype ", dtype.Describe(), " is not implemented"));
}

absl::StatusOr<Piece> ChunkOf(const Value& chunk, size_t rank) {
  const Value* fields = FieldsOf(&chunk, kChunk);
  if (fields == nullptr) return Corrupt("a chunk is no ChunkStorageMetadata");
  auto start = SizesOf(fields->Find("offsets"));
  if (!start.ok()) return start.status();
  auto sizes = SizesOf(fields->Find("sizes"));
  if (!sizes.ok()) return sizes.status();
  if (start->size() != rank || sizes->size() != rank) {
    return Corrupt("a chunk has another rank than its tensor");
  }
  Piece piece;
  piece.start = *std::move(start);
  piece.sizes = *std::move(sizes);
  return piece;
}

bool HasElements(const std::vector<int64_t>& sizes) {
  return std::find(sizes.begin(), sizes.end(), 0) == sizes.end();
}

// Chunks without elements, as ranks have that got no row, are left out.
absl::StatusOr<std::vector<Piece>> ChunksOf(const Value* chunks,
                                            const std::vector<int64_t>& shape) {
  if (chunks == nullptr || !chunks->Is(Kind::kList)) {
    return Corrupt("no list of chunks");
  }
  std::vector<Piece> pieces;
  if (!HasElements(shape)) return pieces;
  for (const Value* chunk : chunks->items()) {
    absl::StatusOr<Piece> piece = ChunkOf(*chunk, shape.size());
    if (!piece.ok()) return piece.status();
    if (HasElements(piece->sizes)) pieces.push_back(*std::move(piece));
  }
  absl::Status status = CheckExactCover(shape, pieces);
  if (!status.ok()) return status;
  std::sort(pieces.begin(), pieces.end(),
            [](const Piece& a, const Piece& b) { return a.start < b.start; });
  return pieces;
}

absl::StatusOr<StoredTensor> TensorOf(absl::string_view name,
                                      const Value& fields) {
  StoredTensor tensor;
  tensor.name = std::string(name);
  auto dtype = DtypeOf(fields.Find("properties"));
  if (!dtype.ok()) return dtype.status();
  tensor.dtype = *dtype;
  auto shape = SizesOf(fields.Find("size"));
  if (!shape.ok()) return shape.status();
  tensor.shape = *std::move(shape);
  const auto bytes = BytesOf(tensor.shape, *tensor.dtype);
  if (!bytes.ok()) return bytes.status();
  auto pieces = ChunksOf(fields.Find("chunks"), tensor.shape);
  if (!pieces.ok()) return pieces.status();
  tensor.pieces = *std::move(pieces);
  return tensor;
}

absl::Status CheckName(absl::string_view name) {
  if (name.empty()) return Corrupt("a tensor without a name");
  if (name.size() <= kMaxNameBytes) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("a name of ", name.size(), " bytes, above the ",
                   kMaxNameBytes, " that are read"));
}

bool IsOfOtherPart(absl::string_view key) {
  const absl::string_view part = key.substr(0, key.find('.'));
  return std::find(std::begin(kOtherParts), std::end(kOtherParts), part) !=
         std::end(kOtherParts);
}

// Reads one .metadata into a DcpMetadata. Views are into the pickle.
class Reader {
 public:
  explicit Reader(DcpKeys keys) : keys_(keys) {}

  absl::StatusOr<DcpMetadata> Read(const Value& root) {
    const Value* metadata = FieldsOf(&root, kMetadata);
    if (metadata == nullptr) return Corrupt("holds no Metadata");
    absl::Status status = ReadTensors(*metadata);
    if (status.ok()) status = ReadStorage(metadata->Find("storage_data"));
    if (status.ok()) status = CheckAllStored();
    if (!status.ok()) return status;
    return std::move(result_);
  }

 private:
  // Whether the weights are in a dict `model` of the state dict. planner_data
  // has each key's path, of which the key is the join: only it tells
  // OLMo-core's
  // ("model", "norm.weight") from a Hugging Face name, ("model.norm.weight",).
  // Without it, the prefix counts where all tensors have it.
  bool IsBelowModel(const Value& tensors, const Value* paths) const {
    if (keys_ == DcpKeys::kBelowModel) return true;
    if (paths != nullptr && paths->Is(Kind::kDict) && paths->size() > 0) {
      for (size_t i = 0; i < paths->size(); ++i) {
        const Value& path = paths->value(i);
        if (path.size() > 1 && path.Is(Kind::kTuple) &&
            path.items()[0]->text() == "model") {
          return true;
        }
      }
      return false;
    }
    for (size_t i = 0; i < tensors.size(); ++i) {
      const absl::string_view key = tensors.key(i).text();
      if (tensors.value(i).tag() == kTensorStorage && !IsOfOtherPart(key) &&
          !absl::StartsWith(key, kModelPrefix)) {
        return false;
      }
    }
    return true;
  }

  absl::Status ReadTensors(const Value& metadata) {
    const Value* tensors = metadata.Find("state_dict_metadata");
    if (tensors == nullptr || !tensors->Is(Kind::kDict)) {
      return Corrupt("Metadata has no dict state_dict_metadata");
    }
    const bool below_model =
        IsBelowModel(*tensors, metadata.Find("planner_data"));
    for (size_t i = 0; i < tensors->size(); ++i) {
      absl::string_view key = tensors->key(i).text();
      const Value& value = tensors->value(i);
      if (!tensors->key(i).Is(Kind::kString)) {
        return Corrupt("a key of state_dict_metadata is no string");
      }
      if (value.tag() == kBytesStorage) continue;
      const bool is_weight = below_model ? absl::StartsWith(key, kModelPrefix)
                                         : !IsOfOtherPart(key);
      if (!is_weight) continue;
      absl::Status status = AddTensor(
          key, key.substr(below_model ? sizeof(kModelPrefix) - 1 : 0), value);
      if (!status.ok()) return AtKey(key, status);
    }
    if (!result_.tensors.empty()) return absl::OkStatus();
    // A save of something else is not broken.
    return absl::UnimplementedError(
        below_model ? "no tensor has a key that begins with model."
                    : "holds no tensor of a model");
  }

  absl::Status AddTensor(absl::string_view key, absl::string_view name,
                         const Value& value) {
    const Value* fields = FieldsOf(&value, kTensorStorage);
    if (fields == nullptr) return Corrupt("no TensorStorageMetadata");
    absl::Status status = CheckName(name);
    if (!status.ok()) return status;
    auto tensor = TensorOf(name, *fields);
    if (!tensor.ok()) return tensor.status();
    if (tensor->pieces.empty()) return absl::OkStatus();
    if (result_.tensors.size() == kMaxTensors) {
      return absl::UnimplementedError(absl::StrCat(
          "more than the ", kMaxTensors, " tensors that are read"));
    }
    index_of_key_[key] = result_.tensors.size();
    result_.tensors.push_back(*std::move(tensor));
    return absl::OkStatus();
  }

  absl::Status ReadStorage(const Value* storage) {
    if (storage == nullptr || !storage->Is(Kind::kDict)) {
      return Corrupt("Metadata has no dict storage_data");
    }
    for (size_t i = 0; i < storage->size(); ++i) {
      const Value* index = FieldsOf(&storage->key(i), kMetadataIndex);
      const Value* fqn = index == nullptr ? nullptr : index->Find("fqn");
      if (fqn == nullptr || !fqn->Is(Kind::kString)) {
        return Corrupt("a key of storage_data is no MetadataIndex");
      }
      const auto found = index_of_key_.find(fqn->text());
      if (found == index_of_key_.end()) continue;
      absl::Status status =
          StoreChunk(result_.tensors[found->second], index->Find("offset"),
                     storage->value(i));
      if (!status.ok()) return AtKey(fqn->text(), status);
    }
    return absl::OkStatus();
  }

  // Gives the piece that starts at `offset` its place, if there is one: there
  // is none for a chunk without elements.
  absl::Status StoreChunk(StoredTensor& tensor, const Value* offset,
                          const Value& info) {
    if (IsNoneOrMissing(offset)) return absl::OkStatus();
    auto start = SizesOf(offset);
    if (!start.ok()) return start.status();
    const auto piece =
        std::lower_bound(tensor.pieces.begin(), tensor.pieces.end(), *start,
                         [](const Piece& a, const std::vector<int64_t>& b) {
                           return a.start < b;
                         });
    if (piece == tensor.pieces.end() || piece->start != *start) {
      return absl::OkStatus();
    }
    if (piece->archive_bytes != 0) {
      return Corrupt(absl::StrCat("the chunk at [", absl::StrJoin(*start, ","),
                                  "] is stored twice"));
    }
    const auto needed = BytesOf(piece->sizes, *tensor.dtype);
    if (!needed.ok()) return needed.status();
    return ReadPlace(info, *needed, *piece);
  }

  absl::Status ReadPlace(const Value& info, int64_t needed, Piece& piece) {
    const Value* fields = FieldsOf(&info, kStorageInfo);
    if (fields == nullptr) return Corrupt("no _StorageInfo");
    const Value* transforms = fields->Find("transform_descriptors");
    const bool is_empty_list = transforms != nullptr &&
                               transforms->Is(Kind::kList) &&
                               transforms->size() == 0;
    if (!IsNoneOrMissing(transforms) && !is_empty_list) {
      return absl::UnimplementedError(
          "transform_descriptors (compressed items) are not implemented");
    }
    const Value* path = fields->Find("relative_path");
    const Value* offset = fields->Find("offset");
    const Value* length = fields->Find("length");
    if (path == nullptr || !path->Is(Kind::kString) || offset == nullptr ||
        !offset->Is(Kind::kInt) || length == nullptr ||
        !length->Is(Kind::kInt)) {
      return Corrupt("a _StorageInfo without path, offset and length");
    }
    const auto file = FileOf(path->text());
    if (!file.ok()) return file.status();
    piece.file = *file;
    piece.offset = offset->integer();
    piece.archive_bytes = length->integer();
    return CheckPlace(piece, needed);
  }

  static absl::Status CheckPlace(const Piece& piece, int64_t needed) {
    if (piece.offset < 0 || piece.archive_bytes < 0 ||
        piece.offset > kMaxSize || piece.archive_bytes > kMaxSize) {
      return Corrupt(absl::StrCat("offset ", piece.offset, ", length ",
                                  piece.archive_bytes,
                                  " are no place in a file"));
    }
    // At least the zip archive's own records come on top.
    if (piece.archive_bytes > needed) return absl::OkStatus();
    return Corrupt(absl::StrCat("length ", piece.archive_bytes,
                                " is too short for a chunk of ", needed,
                                " bytes"));
  }

  absl::StatusOr<size_t> FileOf(absl::string_view name) {
    const auto found = index_of_file_.find(name);
    if (found != index_of_file_.end()) return found->second;
    if (!files::IsBareName(name)) {
      return Corrupt(absl::StrCat("relative_path ", files::Quoted(name),
                                  " is no bare file name"));
    }
    if (!absl::EndsWith(name, ".distcp")) {
      return absl::UnimplementedError(
          absl::StrCat("items in ", files::Quoted(name),
                       " are not read, only in .distcp files"));
    }
    if (result_.files.size() == kMaxDcpFiles) {
      return absl::UnimplementedError(
          absl::StrCat("more than the ", kMaxDcpFiles, " files that are read"));
    }
    index_of_file_[name] = result_.files.size();
    result_.files.push_back(std::string(name));
    return result_.files.size() - 1;
  }

  absl::Status CheckAllStored() const {
    for (const StoredTensor& tensor : result_.tensors) {
      for (const Piece& piece : tensor.pieces) {
        if (piece.archive_bytes != 0) continue;
        return AtKey(tensor.name,
                     Corrupt(absl::StrCat("the chunk at [",
                                          absl::StrJoin(piece.start, ","),
                                          "] is stored nowhere")));
      }
    }
    return absl::OkStatus();
  }

  static absl::Status AtKey(absl::string_view key, const absl::Status& error) {
    return absl::Status(
        error.code(),
        absl::StrCat("tensor ", files::Quoted(key), ": ", error.message()));
  }

  const DcpKeys keys_;
  DcpMetadata result_;
  absl::flat_hash_map<absl::string_view, size_t> index_of_key_;
  absl::flat_hash_map<absl::string_view, size_t> index_of_file_;
};

}  // namespace

absl::StatusOr<DcpMetadata> ParseDcpMetadata(std::string bytes, DcpKeys keys) {
  absl::StatusOr<pickle::Pickle> pickle =
      pickle::Parse(std::move(bytes), DcpRules());
  if (!pickle.ok()) return pickle.status();
  return Reader(keys).Read(pickle->root());
}

}  // namespace sinkwatch::checkpoint
