#include "worker/checkpoint/container/dcp_globals.h"

#include "absl/strings/string_view.h"

namespace sinkwatch::checkpoint {
namespace {

using pickle::GlobalRule;
using pickle::kBuild;
using pickle::kCall;
using pickle::kDict;
using pickle::kName;
using pickle::kNew;

constexpr unsigned kDataclass = kNew | kBuild;
constexpr char kDcp[] = "torch.distributed.checkpoint.metadata";
// Up to torch 2.2 and up to torch 1.13.
constexpr char kSharded[] = "torch.distributed._shard.sharded_tensor.metadata";
constexpr char kShard[] = "torch.distributed._shard.checkpoint.metadata";

// Megatron-Core's own metadata, and the plans that it may keep beside.
constexpr char kMegatron[] =
    "megatron.core.dist_checkpointing.strategies.torch";
constexpr char kPlanner[] = "torch.distributed.checkpoint.planner";

constexpr GlobalRule kGlobals[] = {
    {kDcp, "Metadata", kMetadata, kDataclass},
    {kShard, "Metadata", kMetadata, kDataclass},
    {kMegatron, "MCoreMetadata", kMetadata, kDataclass},
    {kDcp, "TensorStorageMetadata", kTensorStorage, kDataclass},
    {kShard, "TensorStorageMetadata", kTensorStorage, kDataclass},
    {kDcp, "BytesStorageMetadata", kBytesStorage, kDataclass},
    {kShard, "BytesStorageMetadata", kBytesStorage, kDataclass},
    {kDcp, "ChunkStorageMetadata", kChunk, kDataclass},
    {kShard, "ChunkStorageMetadata", kChunk, kDataclass},
    {kDcp, "TensorProperties", kTensorProperties, kDataclass},
    {kShard, "TensorProperties", kTensorProperties, kDataclass},
    {kSharded, "TensorProperties", kTensorProperties, kDataclass},
    {kDcp, "MetadataIndex", kMetadataIndex, kDataclass},
    {kShard, "MetadataIndex", kMetadataIndex, kDataclass},
    {kDcp, "StorageMeta", kIgnored, kDataclass},
    {kPlanner, "SavePlan", kIgnored, kDataclass},
    {kPlanner, "WriteItem", kIgnored, kDataclass},
    {kPlanner, "TensorWriteData", kIgnored, kDataclass},
    {kPlanner, "BytesIOWriteData", kIgnored, kDataclass},
    {kPlanner, "WriteItemType", kIgnored, kCall},
    {"torch.distributed.checkpoint.filesystem", "_StorageInfo", kStorageInfo,
     kDataclass},
    {"torch.distributed._shard.checkpoint.filesystem", "_StorageInfo",
     kStorageInfo, kDataclass},
    {"olmo_core.distributed.checkpoint.filesystem", "_StorageInfo",
     kStorageInfo, kDataclass},
    {"torch", "Size", kSize, kCall},
    {"torch.serialization", "_get_layout", kLayout, kCall},
    // Enums: their class is called or, by some versions of CPython, asked for
    // an attribute.
    {kDcp, "_MEM_FORMAT_ENCODING", kIgnored, kCall},
    {kSharded, "MEM_FORMAT_ENCODING", kIgnored, kCall},
    {"builtins", "getattr", kIgnored, kCall},
    {"__builtin__", "getattr", kIgnored, kCall},
    // The checkpoint's own path.
    {"pathlib", "PosixPath", kIgnored, kCall},
    {"pathlib", "PurePosixPath", kIgnored, kCall},
    {"pathlib._local", "PosixPath", kIgnored, kCall},
    {"pathlib._local", "PurePosixPath", kIgnored, kCall},
    {"collections", "OrderedDict", kIgnored, kDict | kBuild},
    {"_codecs", "encode", kIgnored, kCall},
    {"torch", "float32", kDtype, kName},
    {"torch", "float64", kDtype, kName},
    {"torch", "float16", kDtype, kName},
    {"torch", "bfloat16", kDtype, kName},
    {"torch", "int64", kDtype, kName},
    {"torch", "int32", kDtype, kName},
    {"torch", "int16", kDtype, kName},
    {"torch", "int8", kDtype, kName},
    {"torch", "uint64", kDtype, kName},
    {"torch", "uint32", kDtype, kName},
    {"torch", "uint16", kDtype, kName},
    {"torch", "uint8", kDtype, kName},
    {"torch", "bool", kDtype, kName},
    {"torch", "complex64", kDtype, kName},
    {"torch", "float8_e4m3fn", kDtype, kName},
    {"torch", "float8_e5m2", kDtype, kName},
    {"torch", "float8_e4m3fnuz", kDtype, kName},
    {"torch", "float8_e5m2fnuz", kDtype, kName},
    {"torch", "float8_e8m0fnu", kDtype, kName},
};

pickle::Rules MakeRules() {
  pickle::Rules rules;
  rules.globals = kGlobals;
  rules.limits.bytes = kMaxDcpMetadataBytes;
  rules.limits.values = kMaxDcpValues;
  rules.limits.walk = 64 * 1000 * 1000;
  return rules;
}

}  // namespace

const pickle::Rules& DcpRules() {
  static const pickle::Rules& rules = *new pickle::Rules(MakeRules());
  return rules;
}

}  // namespace sinkwatch::checkpoint
