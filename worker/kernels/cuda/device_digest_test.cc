// Digests that a card takes, against the CPU's.
#include <vector>

#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/randint.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "worker/checkpoint/row_hash.h"
#include "worker/kernels/cuda/device_testing.h"

namespace sinkwatch::kernels {
namespace {

using checkpoint::RowHashSum;

// Rows of less and more than a block of XXH3, of whole blocks, and of one word
// more; more tensors than one launch takes.
TEST(CudaDigestTest, SumsOfHashesAsOnTheCpu) {
  const auto add =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("sinkwatch::add_row_hashes_", "")
          .typed<void(at::Tensor, at::TensorList, at::IntArrayRef)>();
  std::vector<at::Tensor> on_cpu, on_gpu;
  std::vector<int64_t> first;
  for (const int64_t row_bytes :
       {248, 256, 320, 1016, 1024, 1032, 1088, 2048, 4096, 5504, 8192, 22016}) {
    for (const int64_t count : {1, 2, 3000}) {
      on_cpu.push_back(at::randint(256, {count, row_bytes}, at::kByte));
      on_gpu.push_back(ToGpu(on_cpu.back()));
      first.push_back(int64_t{1} << (on_cpu.size() + 10));
    }
  }
  const at::Tensor sums =
      at::zeros({static_cast<int64_t>(on_gpu.size()), 2},
                at::TensorOptions(at::kLong).device(at::kCUDA));
  add.call(sums, on_gpu, first);
  add.call(sums, on_gpu, first);
  const at::Tensor told = ToCpu(sums);
  for (size_t i = 0; i < on_cpu.size(); ++i) {
    SCOPED_TRACE(testing::Message() << on_cpu[i].sizes());
    RowHashSum expected = checkpoint::SumRowHashesPortable(
        static_cast<const char*>(on_cpu[i].const_data_ptr()), first[i],
        on_cpu[i].size(0), on_cpu[i].size(1));
    expected.Add(RowHashSum(expected));
    EXPECT_EQ(static_cast<uint64_t>(told[i][0].item<int64_t>()), expected.low);
    EXPECT_EQ(static_cast<uint64_t>(told[i][1].item<int64_t>()), expected.high);
  }
}

}  // namespace
}  // namespace sinkwatch::kernels
