// What it costs to open a checkpoint and to read its weights. Files are in the
// page cache: the figures are of this code, not of a disk.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "ATen/ops/ones.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/checkpoint/container/safetensors.h"
#include "worker/checkpoint/container/torch_archive.h"
#include "worker/checkpoint/container/torch_pickle_testing.h"
#include "worker/checkpoint/container/zip_testing.h"
#include "worker/checkpoint/writer.h"
#include "worker/files/file.h"

namespace sinkwatch::checkpoint {
namespace {

void BM_ParseHeader(benchmark::State& state) {
  std::string header = "{";
  for (int64_t i = 0; i < state.range(0); ++i) {
    absl::StrAppend(&header, i == 0 ? "" : ",", "\"model.layers.", i,
                    ".self_attn.q_proj.weight\":{\"dtype\":\"F32\",\"shape\":"
                    "[1],\"data_offsets\":[",
                    4 * i, ",", 4 * i + 4, "]}");
  }
  header += "}";
  for (auto _ : state) {
    auto entries = ParseSafetensorsHeader("f", header, 4 * state.range(0));
    if (!entries.ok()) state.SkipWithError("refused");
    benchmark::DoNotOptimize(entries);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() *
                          static_cast<int64_t>(header.size()));
}
BENCHMARK(BM_ParseHeader)
    ->Arg(300)
    ->Arg(kMaxTensors)
    ->Unit(benchmark::kMillisecond);

// The zip directory, each local header, and the pickle of that many tensors.
void BM_ReadTorchArchive(benchmark::State& state) {
  const std::string path =
      absl::StrCat(std::filesystem::temp_directory_path().string(),
                   "/sinkwatch-benchmark-", ::getpid());
  ZipMembers members = {{"archive/data.pkl", "\x80\x02}("}};
  for (int64_t i = 0; i < state.range(0); ++i) {
    PickledTensor tensor;
    tensor.key = PickledString(absl::StrCat(i));
    absl::StrAppend(&members[0].second,
                    PickledString(absl::StrCat("model.layers.", i,
                                               ".self_attn.q_proj.weight")),
                    tensor.Bytes());
    members.emplace_back(absl::StrCat("archive/data/", i),
                         std::string(24, '\0'));
  }
  members[0].second += "u.";
  std::ofstream(path, std::ios::binary) << MakeZip(members).bytes;
  auto file = files::File::Open(path);
  while (file.ok() && state.KeepRunning()) {
    auto tensors = ReadTorchArchive({file->get(), 0, (*file)->size()});
    if (!tensors.ok()) state.SkipWithError("refused");
    benchmark::DoNotOptimize(tensors);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  std::filesystem::remove(path);
}
BENCHMARK(BM_ReadTorchArchive)
    ->Arg(300)
    ->Arg(kMaxTensors)
    ->Unit(benchmark::kMillisecond);

// Copies, checks that values are finite, and hashes.
void BM_ReadTensor(benchmark::State& state) {
  const std::string folder =
      absl::StrCat(std::filesystem::temp_directory_path().string(),
                   "/sinkwatch-benchmark-", ::getpid());
  const int64_t count = state.range(0);
  const bool written = WriteCheckpoint(folder, {{"model_type", "llama"}},
                                       {{"x", at::ones({count}, at::kFloat)}})
                           .ok();
  auto checkpoint = Checkpoint::Open(folder);
  if (!written || !checkpoint.ok()) state.SkipWithError("no checkpoint");
  while (state.KeepRunning()) {
    auto tensor = (*checkpoint)->ReadTensor("x", {count});
    if (!tensor.ok()) state.SkipWithError("refused");
    benchmark::DoNotOptimize(tensor);
  }
  state.SetBytesProcessed(state.iterations() * count * sizeof(float));
  std::filesystem::remove_all(folder);
}
BENCHMARK(BM_ReadTensor)
    ->Arg(1 << 14)
    ->Arg(1 << 24)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sinkwatch::checkpoint

BENCHMARK_MAIN();
