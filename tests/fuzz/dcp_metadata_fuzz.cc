// The .metadata of torch.distributed.checkpoint, read as each layout reads it.
#include <cstdint>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "tests/fuzz/expect_contents.h"
#include "tests/fuzz/fuzz.h"
#include "worker/checkpoint/container/dcp_metadata.h"
#include "worker/checkpoint/stored_tensor.h"
#include "worker/files/file.h"

namespace sinkwatch::fuzz {
namespace {

using checkpoint::DcpKeys;
using checkpoint::DcpMetadata;
using checkpoint::ParseDcpMetadata;
using checkpoint::Piece;
using checkpoint::StoredTensor;

void ExpectPlace(const Piece& piece, const DcpMetadata& metadata) {
  Expect(piece.file < metadata.files.size(), "a chunk has a file");
  Expect(piece.offset >= 0 && piece.archive_bytes > 0 &&
             piece.offset <= INT64_MAX - piece.archive_bytes,
         "the place of a chunk can be computed with");
}

void ExpectMetadata(const DcpMetadata& metadata) {
  const std::set<std::string> files(metadata.files.begin(),
                                    metadata.files.end());
  Expect(files.size() == metadata.files.size(), "a file is there once");
  for (const std::string& file : files) {
    Expect(files::IsBareName(file) && absl::EndsWith(file, ".distcp"),
           "a file is a bare name");
  }
  std::set<std::string> names;
  for (const StoredTensor& tensor : metadata.tensors) {
    Expect(names.insert(tensor.name).second, "a name is there once");
    Expect(tensor.dtype != nullptr, "a tensor has a dtype");
    ExpectCover(tensor);
    for (const Piece& piece : tensor.pieces) ExpectPlace(piece, metadata);
  }
}

absl::Status Parse(absl::string_view input, DcpKeys keys) {
  const auto metadata = ParseDcpMetadata(std::string(input), keys);
  if (!metadata.ok()) return metadata.status();
  Expect(!metadata->tensors.empty(), "there is a tensor");
  ExpectMetadata(*metadata);
  return absl::OkStatus();
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const absl::Status below_model = Parse(input, DcpKeys::kBelowModel);
  const absl::Status top_level = Parse(input, DcpKeys::kTopLevel);
  if (!below_model.ok() && !top_level.ok()) return below_model;
  for (DcpKeys keys : {DcpKeys::kBelowModel, DcpKeys::kTopLevel}) {
    Expect(absl::IsFailedPrecondition(
               Parse(input.substr(0, input.size() - 1), keys)),
           "a metadata that is cut short is incomplete");
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
