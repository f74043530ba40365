#include "worker/checkpoint/container/llama2c.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "worker/checkpoint/container/foreign_format.h"
#include "worker/checkpoint/dtype.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr int kHeaderFields = 7;
constexpr int64_t kHeaderBytes = 4 * kHeaderFields;
constexpr int64_t kItem = 4;             // float32
constexpr int32_t kMagic = 0x616b3432;   // "ak42", of version 1 and later
constexpr int64_t kMaxLayers = 1 << 10;  // as worker/model reads at most

struct Header {
  int64_t dim, hidden_dim, layers, heads, kv_heads, vocabulary, positions;
  bool shared_classifier;

  int64_t head_dim() const { return dim / heads; }
};

absl::Status AtPath(const files::File& file, const absl::Status& error) {
  return absl::Status(error.code(),
                      absl::StrCat(file.path(), ": ", error.message()));
}

absl::Status CheckFields(const int32_t (&fields)[kHeaderFields]) {
  constexpr struct {
    const char* name;
    int64_t most;
  } kFields[kHeaderFields] = {
      {"dim", 1 << 17},     {"hidden_dim", 1 << 20}, {"n_layers", kMaxLayers},
      {"n_heads", 1 << 10}, {"n_kv_heads", 1 << 10}, {"vocab_size", 1 << 22},
      {"seq_len", 1 << 24},
  };
  constexpr int kVocabulary = 5;  // its sign is a flag
  for (int i = 0; i < kHeaderFields; ++i) {
    int64_t value = fields[i];
    if (i == kVocabulary && value < 0) value = -value;
    if (value < 1) {
      return absl::DataLossError(
          absl::StrCat("header: ", kFields[i].name, " is ", value));
    }
    if (value > kFields[i].most) {
      return absl::UnimplementedError(
          absl::StrCat("header: ", kFields[i].name, " is ", value,
                       ", above the ", kFields[i].most, " that are read"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckHeads(const Header& header) {
  if (header.dim % header.heads != 0) {
    return absl::DataLossError(absl::StrCat("header: dim ", header.dim,
                                            " is no multiple of n_heads ",
                                            header.heads));
  }
  if (header.head_dim() % 2 != 0) {
    return absl::DataLossError(
        absl::StrCat("header: a head is ", header.head_dim(),
                     " wide, rotary positions need pairs"));
  }
  if (header.heads % header.kv_heads != 0) {
    return absl::DataLossError(absl::StrCat("header: n_heads ", header.heads,
                                            " is no multiple of n_kv_heads ",
                                            header.kv_heads));
  }
  return absl::OkStatus();
}

absl::StatusOr<Header> ParseHeader(const int32_t (&fields)[kHeaderFields]) {
  if (fields[0] == kMagic) {
    return absl::UnimplementedError(absl::StrCat(
        "version ", fields[1], " of llama2.c is not read, only version 0"));
  }
  if (std::all_of(fields, fields + kHeaderFields,
                  [](int32_t field) { return field == 0; })) {
    return absl::FailedPreconditionError(
        "incomplete: the header is zeros, not yet written");
  }
  absl::Status status = CheckFields(fields);
  if (!status.ok()) return status;
  const int64_t vocabulary = fields[5];
  const Header header = {fields[0], fields[1],     fields[2],
                         fields[3], fields[4],     std::abs(vocabulary),
                         fields[6], vocabulary > 0};
  status = CheckHeads(header);
  if (!status.ok()) return status;
  return header;
}

absl::StatusOr<Header> ReadHeader(const files::File& file) {
  if (file.size() < kHeaderBytes) {
    return absl::FailedPreconditionError(
        absl::StrCat("incomplete: ", file.size(),
                     " bytes, fewer than the header of ", kHeaderBytes));
  }
  int32_t fields[kHeaderFields];
  static_assert(sizeof(fields) == kHeaderBytes, "as in the file");
  absl::Status status = file.ReadAt(0, kHeaderBytes, fields);
  if (!status.ok()) return status;
  return ParseHeader(fields);
}

// Hands out the file from the front, tensor after tensor. The limits of a
// header keep any sum here below 2^52.
class Layout {
 public:
  explicit Layout(std::vector<StoredTensor>& tensors) : tensors_(tensors) {}

  void Tensor(std::string name, std::vector<int64_t> shape) {
    int64_t bytes = kItem;
    for (int64_t size : shape) bytes *= size;
    Piece piece = WholePiece(0, end_, shape);
    tensors_.push_back({std::move(name),
                        FindDtype("F32"),
                        std::move(shape),
                        {std::move(piece)}});
    end_ += bytes;
  }

  // Tensor `name` of each layer.
  void Layers(int64_t layers, const std::string& name,
              const std::vector<int64_t>& shape) {
    for (int64_t i = 0; i < layers; ++i) {
      Tensor(absl::StrCat("layers.", i, ".", name), shape);
    }
  }

  void Skip(int64_t bytes) { end_ += bytes; }

  int64_t end() const { return end_; }

 private:
  std::vector<StoredTensor>& tensors_;
  int64_t end_ = kHeaderBytes;
};

// Returns the size of the file.
int64_t LayOut(const Header& h, std::vector<StoredTensor>& tensors) {
  const int64_t key = h.kv_heads * h.head_dim();
  Layout layout(tensors);
  layout.Tensor("tok_embeddings.weight", {h.vocabulary, h.dim});
  layout.Layers(h.layers, "attention_norm.weight", {h.dim});
  layout.Layers(h.layers, "attention.wq.weight", {h.dim, h.dim});
  layout.Layers(h.layers, "attention.wk.weight", {key, h.dim});
  layout.Layers(h.layers, "attention.wv.weight", {key, h.dim});
  layout.Layers(h.layers, "attention.wo.weight", {h.dim, h.dim});
  layout.Layers(h.layers, "ffn_norm.weight", {h.dim});
  layout.Layers(h.layers, "feed_forward.w1.weight", {h.hidden_dim, h.dim});
  layout.Layers(h.layers, "feed_forward.w2.weight", {h.dim, h.hidden_dim});
  layout.Layers(h.layers, "feed_forward.w3.weight", {h.hidden_dim, h.dim});
  layout.Tensor("norm.weight", {h.dim});
  layout.Skip(2 * h.positions * (h.head_dim() / 2) * kItem);
  if (!h.shared_classifier) {
    layout.Tensor("output.weight", {h.vocabulary, h.dim});
  }
  return layout.end();
}

// The constants of llama2.c that no header holds are those of its run.c.
std::string ConfigJson(const Header& header) {
  return nlohmann::json({
                            {"architectures", {"LlamaForCausalLM"}},
                            {"model_type", "llama"},
                            {"hidden_size", header.dim},
                            {"intermediate_size", header.hidden_dim},
                            {"num_hidden_layers", header.layers},
                            {"num_attention_heads", header.heads},
                            {"num_key_value_heads", header.kv_heads},
                            {"vocab_size", header.vocabulary},
                            {"max_position_embeddings", header.positions},
                            {"tie_word_embeddings", header.shared_classifier},
                            {"hidden_act", "silu"},
                            {"rms_norm_eps", 1e-5},
                            {"rope_theta", 10000.0},
                        })
      .dump();
}

// The format has no magic number; others have.
absl::Status CheckStart(const files::File& file) {
  std::string start(std::min<int64_t>(kForeignFormatBytes, file.size()), 0);
  absl::Status read = file.ReadAt(0, start.size(), start.data());
  return read.ok() ? CheckNotForeign(start) : read;
}

absl::Status CheckSize(const files::File& file, int64_t size) {
  if (file.size() == size) return absl::OkStatus();
  const std::string sizes =
      absl::StrCat(file.size(), " bytes, the header asks for ", size);
  if (file.size() > size) return absl::DataLossError(sizes);
  return absl::FailedPreconditionError(absl::StrCat("incomplete: ", sizes));
}

}  // namespace

absl::StatusOr<Llama2c> OpenLlama2c(const std::string& path) {
  absl::StatusOr<std::unique_ptr<files::File>> file = files::File::Open(path);
  if (!file.ok()) return file.status();
  if (absl::Status s = CheckStart(**file); !s.ok()) return AtPath(**file, s);
  const absl::StatusOr<Header> header = ReadHeader(**file);
  if (!header.ok()) return AtPath(**file, header.status());
  Llama2c model;
  model.config_json = ConfigJson(*header);
  const int64_t size = LayOut(*header, model.contents.tensors);
  if (absl::Status s = CheckSize(**file, size); !s.ok()) {
    return AtPath(**file, s);
  }
  model.contents.files.push_back(*std::move(file));
  return model;
}

}  // namespace sinkwatch::checkpoint
