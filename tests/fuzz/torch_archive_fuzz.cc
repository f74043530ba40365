// What torch.save writes. An input that begins as a zip archive is the file;
// any other is a data.pkl, which is put into an archive with two storages,
// because no fuzzer gets past a zip directory often.
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "tests/fuzz/expect_contents.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input_file.h"
#include "worker/checkpoint/container/torch_container.h"
#include "worker/checkpoint/container/zip_testing.h"
#include "worker/checkpoint/stored_tensor.h"

namespace sinkwatch::fuzz {
namespace {

constexpr char kName[] = "pytorch_model.bin";

absl::StatusOr<checkpoint::Contents> Open(absl::string_view archive) {
  return checkpoint::OpenTorchBin(WriteInput(archive, kName), "");
}

std::string Wrapped(absl::string_view pickle) {
  std::string data;
  for (int i = 0; i < 96; ++i) data += static_cast<char>(i);
  return checkpoint::MakeZip({{"archive/data.pkl", std::string(pickle)},
                              {"archive/data/0", data},
                              {"archive/data/1", data.substr(0, 16)}},
                             /*zip64=*/false)
      .bytes;
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const bool is_zip = absl::StartsWith(input, "PK") || input.empty();
  const std::string archive = is_zip ? std::string(input) : Wrapped(input);
  const auto contents = Open(archive);
  if (!contents.ok()) return contents.status();
  ExpectContents(*contents);
  if (archive.find("PK\5\6") == archive.rfind("PK\5\6")) {
    const auto cut = Open(archive.substr(0, archive.size() - 1));
    Expect(absl::IsFailedPrecondition(cut.status()),
           "an archive that is cut short is incomplete");
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
