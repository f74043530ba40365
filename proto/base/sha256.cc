#include "proto/base/sha256.h"

#include <array>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "openssl/evp.h"

namespace sinkwatch::base {

std::string Sha256Hex(absl::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  // Fails only if the library has no SHA-256, which no input can bring about.
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(),
                 nullptr) != 1) {
    std::abort();
  }
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), size));
}

}  // namespace sinkwatch::base
