// A card that breaks on demand, for tests/gpu/manners.py: CUDA's driver loads
// this library into a process that has CUDA_INJECTION64_PATH. Once the file
// that SINKWATCH_BREAK_CARD names is there, a kernel traps, and each later call
// in the process's context fails.
#include <dlfcn.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

constexpr char kTrap[] =
    ".version 7.0\n.target sm_80\n.address_size 64\n"
    ".visible .entry break_card() { trap; }\n";

template <typename Function>
Function Driver(const char* name) {
  static void* const driver = dlopen("libcuda.so.1", RTLD_NOW);
  return reinterpret_cast<Function>(dlsym(driver, name));
}

void BreakCard() {
  void *context = nullptr, *module = nullptr, *kernel = nullptr;
  const int errors[] = {
      Driver<int (*)(void**, int)>("cuDevicePrimaryCtxRetain")(&context, 0),
      Driver<int (*)(void*)>("cuCtxSetCurrent")(context),
      Driver<int (*)(void**, const void*)>("cuModuleLoadData")(&module, kTrap),
      Driver<int (*)(void**, void*, const char*)>("cuModuleGetFunction")(
          &kernel, module, "break_card"),
      Driver<int (*)(void*, unsigned, unsigned, unsigned, unsigned, unsigned,
                     unsigned, unsigned, void*, void**, void**)>(
          "cuLaunchKernel")(kernel, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr,
                            nullptr),
      Driver<int (*)()>("cuCtxSynchronize")()};
  for (const int error : errors) {
    std::fprintf(stderr, "broken_card: CUDA driver says %d\n", error);
  }
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int InitializeInjection() {
  const char* const trigger = std::getenv("SINKWATCH_BREAK_CARD");
  if (trigger == nullptr) return 0;
  std::thread([trigger] {
    while (::access(trigger, F_OK) != 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    BreakCard();
  }).detach();
  return 1;
}
