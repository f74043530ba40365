#include "worker/checkpoint/container/torch_globals.h"

#include "absl/strings/string_view.h"

namespace sinkwatch::checkpoint {
namespace {

using pickle::GlobalRule;
using pickle::kBuild;
using pickle::kCall;
using pickle::kDict;
using pickle::kName;

constexpr GlobalRule kGlobals[] = {
    {"collections", "OrderedDict", kOther, kDict | kBuild},
    {"torch._utils", "_rebuild_tensor_v2", kTensorV2, kCall},
    {"torch._utils", "_rebuild_tensor_v3", kTensorV3, kCall},
    {"torch._utils", "_rebuild_parameter", kParameter, kCall},
    {"torch._utils", "_rebuild_parameter_with_state", kParameter, kCall},
    {"torch._tensor", "_rebuild_from_type_v2", kTensorOfType, kCall},
    {"torch", "Tensor", kOther, kName},
    {"torch.nn.parameter", "Parameter", kOther, kName},
    {"torch.nn.parameter", "Buffer", kOther, kName},
    {"torch", "Size", kOther, kCall},
    {"torch", "device", kOther, kCall},
    {"torch.serialization", "_get_layout", kOther, kCall},
    {"_codecs", "encode", kOther, kCall},
    {"torch.storage", "UntypedStorage", kAnyStorage, kName},
    {"torch", "UntypedStorage", kAnyStorage, kName},
    {"torch", "FloatStorage", kStorageType, kName},
    {"torch", "DoubleStorage", kStorageType, kName},
    {"torch", "HalfStorage", kStorageType, kName},
    {"torch", "BFloat16Storage", kStorageType, kName},
    {"torch", "LongStorage", kStorageType, kName},
    {"torch", "IntStorage", kStorageType, kName},
    {"torch", "ShortStorage", kStorageType, kName},
    {"torch", "CharStorage", kStorageType, kName},
    {"torch", "ByteStorage", kStorageType, kName},
    {"torch", "BoolStorage", kStorageType, kName},
    {"torch", "ComplexFloatStorage", kStorageType, kName},
    {"torch", "float32", kDtypeName, kName},
    {"torch", "float64", kDtypeName, kName},
    {"torch", "float16", kDtypeName, kName},
    {"torch", "bfloat16", kDtypeName, kName},
    {"torch", "int64", kDtypeName, kName},
    {"torch", "int32", kDtypeName, kName},
    {"torch", "int16", kDtypeName, kName},
    {"torch", "int8", kDtypeName, kName},
    {"torch", "uint64", kDtypeName, kName},
    {"torch", "uint32", kDtypeName, kName},
    {"torch", "uint16", kDtypeName, kName},
    {"torch", "uint8", kDtypeName, kName},
    {"torch", "bool", kDtypeName, kName},
    {"torch", "complex64", kDtypeName, kName},
    {"torch", "float8_e4m3fn", kDtypeName, kName},
    {"torch", "float8_e5m2", kDtypeName, kName},
    {"torch", "float8_e4m3fnuz", kDtypeName, kName},
    {"torch", "float8_e5m2fnuz", kDtypeName, kName},
    {"torch", "float8_e8m0fnu", kDtypeName, kName},
};

struct NameOfDtype {
  absl::string_view torch;
  absl::string_view ours;
};
constexpr NameOfDtype kDtypes[] = {
    {"FloatStorage", "F32"},
    {"DoubleStorage", "F64"},
    {"HalfStorage", "F16"},
    {"BFloat16Storage", "BF16"},
    {"LongStorage", "I64"},
    {"IntStorage", "I32"},
    {"ShortStorage", "I16"},
    {"CharStorage", "I8"},
    {"ByteStorage", "U8"},
    {"BoolStorage", "BOOL"},
    {"ComplexFloatStorage", "C64"},
    {"float32", "F32"},
    {"float64", "F64"},
    {"float16", "F16"},
    {"bfloat16", "BF16"},
    {"int64", "I64"},
    {"int32", "I32"},
    {"int16", "I16"},
    {"int8", "I8"},
    {"uint64", "U64"},
    {"uint32", "U32"},
    {"uint16", "U16"},
    {"uint8", "U8"},
    {"bool", "BOOL"},
    {"complex64", "C64"},
    {"float8_e4m3fn", "F8_E4M3"},
    {"float8_e5m2", "F8_E5M2"},
    {"float8_e4m3fnuz", "F8_E4M3FNUZ"},
    {"float8_e5m2fnuz", "F8_E5M2FNUZ"},
    {"float8_e8m0fnu", "F8_E8M0"},
};

pickle::Rules MakeRules() {
  pickle::Rules rules;
  rules.globals = kGlobals;
  rules.persistent_ids = true;
  return rules;
}

}  // namespace

const pickle::Rules& TorchRules() {
  static const pickle::Rules& rules = *new pickle::Rules(MakeRules());
  return rules;
}

const Dtype* DtypeOfGlobal(const pickle::GlobalRule& global) {
  for (const NameOfDtype& dtype : kDtypes) {
    if (dtype.torch == global.name) return FindDtype(dtype.ours);
  }
  return nullptr;
}

}  // namespace sinkwatch::checkpoint
