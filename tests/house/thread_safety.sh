#!/usr/bin/env bash
# Makes the thread annotations true: clang's analysis of every source that can
# touch what a base::Mutex guards (gcc ignores the annotations). Needs clang-14,
# which deploy/setup.sh installs, and no build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

generated="$(mktemp -d)"
trap 'rm -rf "$generated"' EXIT
find proto -name '*.proto' -print0 | xargs -0 protoc -I proto \
  --cpp_out="$generated" --grpc_out="$generated" \
  --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin

# The tables that a build puts into a header; no annotation is in them.
mkdir -p "$generated/server/references"
echo '#include <utility>
namespace sinkwatch::references {
inline constexpr std::pair<const char*, const char*> kShipped[] = {{"", ""}};
}' >"$generated/server/references/shipped.h"
# LibTorch, where deploy/setup.sh put it.
libtorch="$(sed -n 's/^build --repo_env=SINKWATCH_LIBTORCH=//p' .bazelrc.local)"

# Files of the kind $1 that have the line $2.
having() { grep -rlE --include="$1" "$2" proto server worker; }

# What a private mutex guards is touched by the header's own source, what an open
# one (a member without the closing underscore) does by all who include it.
sources="$(
  having '*.cc' '^#include "proto/base/mutex.h"|[^a-zA-Z]Mutex [a-z_]+;'
  for header in $(having '*.h' '^#include "proto/base/mutex.h"'); do
    [[ ! -f "${header%.h}.cc" ]] || echo "${header%.h}.cc"
    ! grep -qE '[^a-zA-Z]Mutex [a-z_]*[a-z];' "$header" ||
      having '*.cc' "^#include \"$header\"" || true
  done
)"
sources="$(sort -u <<<"$sources")"
[[ "$(wc -l <<<"$sources")" -ge 15 ]] || { echo "where are the mutexes?" >&2; exit 1; }

xargs -P "$(nproc)" -n 1 clang++-14 -std=c++17 -fsyntax-only -Wthread-safety \
  -Werror -I. -isystem "$generated" \
  -idirafter "$libtorch/torch/include" -DSPDLOG_COMPILED_LIB \
  -DSPDLOG_FMT_EXTERNAL <<<"$sources"
