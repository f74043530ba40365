#ifndef SINKWATCH_SERVER_EXPORTER_GZIP_H_
#define SINKWATCH_SERVER_EXPORTER_GZIP_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace sinkwatch::exporter {

// The first part of a gzip stream whose end is not known yet. Compressing the
// large, rarely changing part of a page once and only its small tail at each
// scrape makes one ordinary gzip member of both (RFC 1952): the deflate data of
// the first part ends at a byte boundary, and the checksum of the whole comes
// from the checksums of the parts.
struct GzipPrefix {
  std::string bytes;  // header and deflate blocks
  uint32_t crc = 0;   // of the plain text
  size_t size = 0;    // of the plain text
};

GzipPrefix StartGzip(absl::string_view text);

// The rest of the stream: `prefix.bytes` + FinishGzip(prefix, tail) is a whole
// gzip member that holds both texts.
std::string FinishGzip(const GzipPrefix& prefix, absl::string_view tail);

// All of `text` as one gzip member.
std::string Gzip(absl::string_view text);

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_GZIP_H_
