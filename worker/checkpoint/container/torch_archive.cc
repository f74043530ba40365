#include "worker/checkpoint/container/torch_archive.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/checkpoint/container/torch_globals.h"
#include "worker/checkpoint/pickle/reader.h"
#include "worker/checkpoint/pickle/value.h"
#include "worker/checkpoint/stored_tensor.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using pickle::Kind;
using pickle::Value;

constexpr absl::string_view kPickleEnd = "/data.pkl";

absl::Status Prefixed(absl::string_view prefix, const absl::Status& error) {
  return absl::Status(error.code(),
                      absl::StrCat(prefix, ": ", error.message()));
}

// A tuple (or torch.Size) of integers that are not negative.
absl::StatusOr<std::vector<int64_t>> Dimensions(const Value& tuple) {
  std::vector<int64_t> dimensions;
  if (!tuple.Is(Kind::kTuple)) {
    return absl::DataLossError(absl::StrCat(
        "sizes and strides must be tuples, one is ", tuple.Describe()));
  }
  if (tuple.size() > kMaxRank) {
    return absl::UnimplementedError(absl::StrCat("rank ", tuple.size()));
  }
  for (const Value* item : tuple.items()) {
    if (!item->Is(Kind::kInt) || item->integer() < 0) {
      return absl::DataLossError(
          absl::StrCat("sizes and strides must be integers that are not "
                       "negative, one is ",
                       item->Describe()));
    }
    dimensions.push_back(item->integer());
  }
  return dimensions;
}

bool IsNothing(const Value& value) {
  return value.Is(Kind::kNone) || (value.Is(Kind::kDict) && value.size() == 0);
}

// One past the last element that a view reaches, and how many it has; or
// DATA_LOSS where that overflows.
struct Extent {
  int64_t end = 0;
  int64_t count = 1;
};
absl::StatusOr<Extent> ExtentOf(int64_t offset,
                                const std::vector<int64_t>& sizes,
                                const std::vector<int64_t>& strides) {
  Extent extent;
  bool fits = true;
  bool is_empty = false;
  for (int64_t size : sizes) {
    // A zero must not hide what the others make.
    const int64_t factor = std::max<int64_t>(size, 1);
    fits = fits && !__builtin_mul_overflow(extent.count, factor, &extent.count);
    is_empty |= size == 0;
  }
  if (is_empty) extent.count = 0;
  extent.end = offset;
  for (size_t i = 0; fits && i < sizes.size() && extent.count > 0; ++i) {
    int64_t reach = 0;
    fits = !__builtin_mul_overflow(sizes[i] - 1, strides[i], &reach) &&
           !__builtin_add_overflow(extent.end, reach, &extent.end);
  }
  if (fits && extent.count > 0) {
    fits = !__builtin_add_overflow(extent.end, 1, &extent.end);
  }
  if (fits) return extent;
  return absl::DataLossError(absl::StrCat(
      "sizes [", absl::StrJoin(sizes, ","), "] with strides [",
      absl::StrJoin(strides, ","), "] from element ", offset, " overflow"));
}

// The archive with its directory and pickle read.
class Archive {
 public:
  static absl::StatusOr<Archive> Open(const FileSlice& slice);

  const Value& root() const { return pickle_.root(); }
  // `error` with the file, and the place in it.
  absl::Status Named(const absl::Status& error) const;

  static bool IsTensor(const Value& value);
  // A tensor, which is the record of a call; without a name.
  absl::StatusOr<ArchivedTensor> Tensor(const Value& value) const {
    return Rebuild(value.tag(), *value.args());
  }

 private:
  // The bytes of a tensor's elements.
  struct Storage {
    const Dtype* dtype = nullptr;  // nullptr: of any
    int64_t offset = 0;            // in the file
    int64_t bytes = 0;
  };

  Archive(FileSlice slice, std::vector<ZipMember> members, std::string root,
          pickle::Pickle pickle)
      : slice_(slice),
        members_(std::move(members)),
        root_(std::move(root)),
        pickle_(std::move(pickle)) {}

  absl::StatusOr<ArchivedTensor> Rebuild(int tag, const Value& args) const;
  absl::StatusOr<ArchivedTensor> RebuildView(int tag, const Value& args) const;
  absl::StatusOr<Storage> FindStorage(const Value& persistent_id) const;

  FileSlice slice_;
  std::vector<ZipMember> members_;
  std::string root_;
  pickle::Pickle pickle_;
};

absl::Status NamedIn(const FileSlice& slice, const absl::Status& error) {
  const std::string& path = slice.file->path();
  if (absl::StartsWith(error.message(), path)) return error;
  const bool whole = slice.offset == 0 && slice.length == slice.file->size();
  return Prefixed(
      whole ? path : absl::StrCat(path, ": archive at byte ", slice.offset),
      error);
}

absl::Status Archive::Named(const absl::Status& error) const {
  return NamedIn(slice_, error);
}

// The folder of the archive: what its one data.pkl lies in.
absl::StatusOr<std::string> RootOf(const std::vector<ZipMember>& members) {
  std::string root;
  for (const ZipMember& member : members) {
    const absl::string_view name = member.name;
    if (!absl::EndsWith(name, kPickleEnd)) continue;
    const absl::string_view folder =
        name.substr(0, name.size() - kPickleEnd.size());
    if (absl::StrContains(folder, '/')) continue;
    if (!root.empty()) {
      return absl::DataLossError(
          absl::StrCat("two pickles: ", files::Quoted(root), " and ",
                       files::Quoted(folder)));
    }
    root = std::string(folder);
  }
  if (root.empty()) {
    return absl::UnimplementedError(
        "a zip archive without data.pkl, which torch.save does not write");
  }
  if (FindZipMember(members, root + "/constants.pkl") != nullptr) {
    return absl::UnimplementedError("a TorchScript archive holds code");
  }
  return root;
}

absl::StatusOr<std::string> ReadMember(const FileSlice& slice,
                                       const ZipMember& member,
                                       int64_t max_bytes) {
  if (member.size > max_bytes) {
    return absl::UnimplementedError(
        absl::StrCat("member ", files::Quoted(member.name), ": ", member.size,
                     " bytes, above the ", max_bytes, " that are read"));
  }
  std::string bytes(member.size, '\0');
  absl::Status status =
      slice.file->ReadAt(member.offset, member.size, bytes.data());
  if (!status.ok()) return status;
  return bytes;
}

absl::Status CheckByteOrder(const FileSlice& slice,
                            const std::vector<ZipMember>& members,
                            const std::string& root) {
  constexpr int64_t kMaxBytes = 16;
  const ZipMember* member = FindZipMember(members, root + "/byteorder");
  if (member == nullptr) return absl::OkStatus();
  absl::StatusOr<std::string> order = ReadMember(slice, *member, kMaxBytes);
  if (!order.ok()) return order.status();
  if (*order == "little") return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("byte order ", files::Quoted(*order), " is not read"));
}

absl::StatusOr<Archive> Archive::Open(const FileSlice& slice) {
  absl::StatusOr<std::vector<ZipMember>> members = ReadZipDirectory(slice);
  if (!members.ok()) return members.status();
  absl::StatusOr<std::string> root = RootOf(*members);
  if (!root.ok()) return NamedIn(slice, root.status());
  absl::Status order = CheckByteOrder(slice, *members, *root);
  if (!order.ok()) return NamedIn(slice, order);
  const pickle::Rules& rules = TorchRules();
  const std::string name = absl::StrCat(*root, kPickleEnd);
  absl::StatusOr<std::string> bytes =
      ReadMember(slice, *FindZipMember(*members, name), rules.limits.bytes);
  if (!bytes.ok()) return NamedIn(slice, bytes.status());
  absl::StatusOr<pickle::Pickle> pickle =
      pickle::Parse(*std::move(bytes), rules);
  if (pickle.ok()) {
    return Archive(slice, *std::move(members), *std::move(root),
                   *std::move(pickle));
  }
  absl::Status status =
      Prefixed(absl::StrCat("member ", files::Quoted(name)), pickle.status());
  // The archive says how long it is: no later byte can mend it.
  if (absl::IsFailedPrecondition(status)) {
    status = absl::DataLossError(status.message());
  }
  return NamedIn(slice, status);
}

bool Archive::IsTensor(const Value& value) {
  if (!value.Is(Kind::kObject)) return false;
  switch (value.tag()) {
    case kTensorV2:
    case kTensorV3:
    case kParameter:
    case kTensorOfType:
      return true;
    default:
      return false;
  }
}

absl::StatusOr<ArchivedTensor> Archive::Rebuild(int tag,
                                                const Value& args) const {
  const auto arguments = args.items();
  if (tag == kTensorV2 || tag == kTensorV3) return RebuildView(tag, args);
  if (tag == kParameter && arguments.size() >= 3 && arguments.size() <= 4 &&
      IsTensor(*arguments[0])) {
    return Tensor(*arguments[0]);
  }
  if (tag == kTensorOfType && arguments.size() == 4 &&
      arguments[0]->Is(Kind::kGlobal) && arguments[2]->Is(Kind::kTuple)) {
    const int inner = arguments[0]->tag();
    // A second wrapper is nothing that torch writes.
    if (inner != kTensorOfType) return Rebuild(inner, *arguments[2]);
  }
  return absl::DataLossError("not the arguments that rebuild a tensor");
}

// What of a storage of `in_storage` elements a tensor is: its offset, sizes and
// strides, where no element lies outside.
struct View {
  int64_t first = 0;
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
};
absl::StatusOr<View> ViewOf(int64_t first, const Value& size_values,
                            const Value& stride_values, int64_t in_storage) {
  absl::StatusOr<std::vector<int64_t>> sizes = Dimensions(size_values);
  if (!sizes.ok()) return sizes.status();
  absl::StatusOr<std::vector<int64_t>> strides = Dimensions(stride_values);
  if (!strides.ok()) return strides.status();
  if (sizes->size() != strides->size()) {
    return absl::DataLossError(
        absl::StrCat(sizes->size(), " sizes, ", strides->size(), " strides"));
  }
  absl::StatusOr<Extent> extent = ExtentOf(first, *sizes, *strides);
  if (!extent.ok()) return extent.status();
  if (extent->end > in_storage) {
    return absl::DataLossError(absl::StrCat(
        "sizes [", absl::StrJoin(*sizes, ","), "] with strides [",
        absl::StrJoin(*strides, ","), "] from element ", first,
        " reach element ", extent->end - 1, " of a storage of ", in_storage));
  }
  if (extent->count > in_storage) {
    return absl::UnimplementedError(absl::StrCat("repeats elements: it has ",
                                                 extent->count,
                                                 ", its storage ", in_storage));
  }
  // The strides of a tensor without elements mean nothing.
  if (extent->count == 0) *strides = RowMajorStrides(*sizes);
  return View{first, *std::move(sizes), *std::move(strides)};
}

absl::StatusOr<ArchivedTensor> Archive::RebuildView(int tag,
                                                    const Value& args) const {
  const auto arguments = args.items();
  const size_t fewest = tag == kTensorV2 ? 6 : 7;
  if (arguments.size() < fewest || arguments.size() > fewest + 1 ||
      !arguments[1]->Is(Kind::kInt) || arguments[1]->integer() < 0) {
    return absl::DataLossError("not the arguments that rebuild a tensor");
  }
  // Flags such as "conjugate" or "negated" say that the values are others.
  if (arguments.size() > fewest && !IsNothing(*arguments.back())) {
    return absl::UnimplementedError("a tensor with flags is not read");
  }
  absl::StatusOr<Storage> storage = FindStorage(*arguments[0]);
  if (!storage.ok()) return storage.status();
  ArchivedTensor tensor;
  tensor.dtype = storage->dtype;
  if (tag == kTensorV3) {
    if (arguments[6]->tag() != kDtypeName) {
      return absl::DataLossError("its dtype is none");
    }
    tensor.dtype = DtypeOfGlobal(*arguments[6]->global());
  }
  if (tensor.dtype == nullptr) {
    return absl::DataLossError("a storage without a dtype");
  }
  const int64_t item = tensor.dtype->bits / 8;
  absl::StatusOr<View> view = ViewOf(arguments[1]->integer(), *arguments[2],
                                     *arguments[3], storage->bytes / item);
  if (!view.ok()) return view.status();
  tensor.sizes = std::move(view->sizes);
  tensor.strides = std::move(view->strides);
  tensor.offset = storage->offset + view->first * item;
  return tensor;
}

absl::StatusOr<Archive::Storage> Archive::FindStorage(
    const Value& persistent_id) const {
  const Value* id =
      persistent_id.Is(Kind::kPersistentId) ? persistent_id.args() : nullptr;
  // ('storage', type, key, location, number of elements)
  if (id == nullptr || !id->Is(Kind::kTuple) || id->size() != 5 ||
      id->items()[0]->text() != "storage" ||
      !id->items()[1]->Is(Kind::kGlobal) ||
      !id->items()[2]->Is(Kind::kString) || !id->items()[4]->Is(Kind::kInt)) {
    return absl::DataLossError("not the persistent id of a storage");
  }
  Storage storage;
  const Value& type = *id->items()[1];
  if (type.tag() == kStorageType) {
    storage.dtype = DtypeOfGlobal(*type.global());
  } else if (type.tag() != kAnyStorage) {
    return absl::DataLossError(
        absl::StrCat(type.Describe(), " is no type of storage"));
  }
  const absl::string_view key = id->items()[2]->text();
  const ZipMember* member =
      FindZipMember(members_, absl::StrCat(root_, "/data/", key));
  if (member == nullptr) {
    return absl::DataLossError(absl::StrCat("its storage ", files::Quoted(key),
                                            " is not in the archive"));
  }
  const int64_t count = id->items()[4]->integer();
  const int64_t item = storage.dtype == nullptr ? 1 : storage.dtype->bits / 8;
  if (count < 0 || member->size % item != 0 || member->size / item != count) {
    return absl::DataLossError(
        absl::StrCat("its storage ", files::Quoted(key), " has ", member->size,
                     " bytes, not ", count, " elements of ", item));
  }
  storage.offset = member->offset;
  storage.bytes = member->size;
  return storage;
}

// Collects the tensors of dicts inside one another.
class Collector {
 public:
  explicit Collector(const Archive& archive) : archive_(archive) {}

  absl::Status Collect(const Value& dict, const std::string& prefix) {
    for (size_t i = 0; i < dict.size(); ++i) {
      const Value& value = dict.value(i);
      const bool is_tensor = Archive::IsTensor(value);
      if (!is_tensor && !value.Is(Kind::kDict)) continue;
      absl::StatusOr<std::string> name = NameOf(prefix, dict.key(i));
      if (!name.ok()) return name.status();
      absl::Status status =
          is_tensor ? Add(*name, value) : Collect(value, *name + ".");
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  std::vector<ArchivedTensor> Take() { return std::move(tensors_); }

 private:
  static absl::StatusOr<std::string> NameOf(const std::string& prefix,
                                            const Value& key) {
    std::string name = prefix;
    if (key.Is(Kind::kString)) {
      absl::StrAppend(&name, key.text());
    } else if (key.Is(Kind::kInt)) {
      absl::StrAppend(&name, key.integer());
    } else {
      return absl::UnimplementedError(
          absl::StrCat("a dict of tensors has the key ", key.Describe()));
    }
    if (name.size() <= kMaxNameBytes) return name;
    return absl::UnimplementedError(
        absl::StrCat("tensor ", files::Quoted(name), ": name of ", name.size(),
                     " bytes, above ", kMaxNameBytes));
  }

  absl::Status Add(const std::string& name, const Value& value) {
    absl::StatusOr<ArchivedTensor> tensor = archive_.Tensor(value);
    if (!tensor.ok()) {
      return Prefixed(absl::StrCat("tensor ", files::Quoted(name)),
                      tensor.status());
    }
    if (tensors_.size() == kMaxTensors) {
      return absl::UnimplementedError(
          absl::StrCat("more than ", kMaxTensors, " tensors"));
    }
    if (!names_.insert(name).second) {
      return absl::DataLossError(
          absl::StrCat("tensor ", files::Quoted(name), ": is there twice"));
    }
    tensor->name = name;
    tensors_.push_back(*std::move(tensor));
    return absl::OkStatus();
  }

  const Archive& archive_;
  absl::flat_hash_set<std::string> names_;
  std::vector<ArchivedTensor> tensors_;
};

// What trainers call their model in a dict of their state; the first that is
// there counts: nanoGPT and many; Lightning, open_lm; PyTorch's tutorial;
// others.
constexpr const char* kModelKeys[] = {"model", "state_dict", "model_state_dict",
                                      "model_state"};

const Value* FindModel(const Value& root) {
  for (const char* key : kModelKeys) {
    const Value* model = root.Find(key);
    if (model != nullptr && model->Is(Kind::kDict)) return model;
  }
  return nullptr;
}

// The dict of the weights: the root, or the model of a trainer's checkpoint
// beside an optimizer, a loss (nanoGPT's is a tensor) and other state.
const Value& WeightsOf(const Archive& archive) {
  const Value& root = archive.root();
  const Value* model = FindModel(root);
  if (model == nullptr) return root;
  for (size_t i = 0; i < root.size(); ++i) {
    if (!Archive::IsTensor(root.value(i))) continue;
    absl::StatusOr<ArchivedTensor> tensor = archive.Tensor(root.value(i));
    if (!tensor.ok() || !tensor->sizes.empty()) return root;
  }
  return *model;
}

}  // namespace

absl::StatusOr<std::vector<ArchivedTensor>> ReadTorchArchive(
    const FileSlice& slice) {
  absl::StatusOr<Archive> archive = Archive::Open(slice);
  if (!archive.ok()) return archive.status();
  if (!archive->root().Is(Kind::kDict)) {
    return archive->Named(absl::UnimplementedError(absl::StrCat(
        "holds ", archive->root().Describe(), ", not a dict of tensors")));
  }
  Collector collector(*archive);
  absl::Status status = collector.Collect(WeightsOf(*archive), "");
  if (!status.ok()) return archive->Named(status);
  return collector.Take();
}

absl::StatusOr<ArchivedTensor> ReadTorchTensor(const FileSlice& slice) {
  absl::StatusOr<Archive> archive = Archive::Open(slice);
  if (!archive.ok()) return archive.status();
  if (!Archive::IsTensor(archive->root())) {
    return archive->Named(absl::DataLossError(
        absl::StrCat("holds ", archive->root().Describe(), ", not a tensor")));
  }
  absl::StatusOr<ArchivedTensor> tensor = archive->Tensor(archive->root());
  if (!tensor.ok()) return archive->Named(tensor.status());
  return tensor;
}

}  // namespace sinkwatch::checkpoint
