#include "worker/checkpoint/container/foreign_format.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace sinkwatch::checkpoint {
namespace {

struct Format {
  absl::string_view magic;
  const char* what;
};
constexpr Format kFormats[] = {
    {"GGUF", "a GGUF file of llama.cpp"},
    {"lmgg", "a GGML file of llama.cpp"},
    {"tjgg", "a GGML file of llama.cpp"},
    // 20240326, 20240327, 20240520: the longest header of safetensors is
    // shorter.
    {"\xc6\xd7\x34\1",
     "a model of llm.c (its dev/eval/export_hf.py makes the Hugging Face "
     "form)"},
    {"\xc7\xd7\x34\1", "the state of an optimizer of llm.c"},
    {"\x88\xd8\x34\1", "tokens of llm.c"},
    {"PK\3\4", "a zip archive, as torch.save writes it"},
    {"\x80\2", "a pickle"},
    {"\x80\3", "a pickle"},
    {"\x80\4", "a pickle"},
    {"\x80\5", "a pickle"},
    {"\x89HDF\r\n", "an HDF5 file"},
    {"\x93NUMPY", "a NumPy array"},
    {"\x1f\x8b", "a gzip file"},
    {"\x28\xb5\x2f\xfd", "a zstd file"},
    {"\xfd"
     "7zXZ",
     "an xz file"},
    {"PAR1", "a Parquet file"},
    {"ARROW1", "an Arrow file"},
    {"<!DOCTYPE", "an HTML page"},
    {"<!doctype", "an HTML page"},
    {"<html", "an HTML page"},
};

}  // namespace

absl::Status CheckNotForeign(absl::string_view start) {
  for (const Format& format : kFormats) {
    if (!absl::StartsWith(start, format.magic)) continue;
    return absl::UnimplementedError(
        absl::StrCat(format.what, ", which is not read here"));
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::checkpoint
