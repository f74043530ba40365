#include "server/exporter/gzip.h"

#include <zlib.h>

namespace sinkwatch::exporter {
namespace {

constexpr int kRawDeflate = -15;  // 32 KiB window, no header of zlib's own
// Pages are compressed again and again: speed before size. An answer of the API
// is compressed once.
constexpr int kPageLevel = 1;
constexpr int kWholeLevel = 5;

uint32_t Crc(absl::string_view text) {
  return crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size());
}

// Appends `text` as raw deflate blocks that end with `flush`.
void AppendDeflate(absl::string_view text, int level, int flush,
                   std::string* out) {
  z_stream stream = {};
  deflateInit2(&stream, level, Z_DEFLATED, kRawDeflate, 8, Z_DEFAULT_STRATEGY);
  const size_t start = out->size();
  // deflateBound covers Z_FINISH; a flush adds an empty block.
  out->resize(start + deflateBound(&stream, text.size()) + 16);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out->data() + start);
  stream.avail_out = static_cast<uInt>(out->size() - start);
  deflate(&stream, flush);
  out->resize(start + stream.total_out);
  deflateEnd(&stream);
}

void AppendLittleEndian(uint32_t value, std::string* out) {
  for (int shift = 0; shift < 32; shift += 8) {
    out->push_back(static_cast<char>(value >> shift & 0xFF));
  }
}

}  // namespace

GzipPrefix StartGzip(absl::string_view text) {
  GzipPrefix prefix;
  // Magic, deflate, no flags, no time, no hint, unknown system.
  prefix.bytes.assign("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
  prefix.crc = Crc(text);
  prefix.size = text.size();
  if (!text.empty())
    AppendDeflate(text, kPageLevel, Z_FULL_FLUSH, &prefix.bytes);
  return prefix;
}

std::string FinishGzip(const GzipPrefix& prefix, absl::string_view tail) {
  std::string bytes;
  AppendDeflate(tail, kPageLevel, Z_FINISH, &bytes);
  AppendLittleEndian(crc32_combine(prefix.crc, Crc(tail), tail.size()), &bytes);
  AppendLittleEndian(static_cast<uint32_t>(prefix.size + tail.size()), &bytes);
  return bytes;
}

std::string Gzip(absl::string_view text) {
  GzipPrefix whole = StartGzip("");
  AppendDeflate(text, kWholeLevel, Z_FINISH, &whole.bytes);
  AppendLittleEndian(Crc(text), &whole.bytes);
  AppendLittleEndian(static_cast<uint32_t>(text.size()), &whole.bytes);
  return whole.bytes;
}

}  // namespace sinkwatch::exporter
