#!/usr/bin/env bash
# Installs what building and running sinkwatch needs, once:
#   - system packages of Debian 12 (as root, or through sudo);
#   - LibTorch, from the wheels that third_party/libtorch.lock pins by sha256,
#     into ${SINKWATCH_CACHE:-~/.cache/sinkwatch};
#   - with --build, only what building and running the programs needs, and not
#     what only tests do (the demo and the images use this);
#   - with --kernels, also nvcc (97 MB), which compiles the CUDA kernels: no GPU
#     is needed for that;
#   - with --cuda, also nvcc and the CUDA libraries that LibTorch loads on a GPU
#     (2 GB);
#   - with --fuzz, also libFuzzer, which only tests/fuzz/run.sh needs
#     (arguments add up: --build --cuda is a GPU without tests);
#   - .bazelrc.local, which tells Bazel where both caches are.
# A second run finds everything in place and takes under a second.
set -euo pipefail

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cache="${SINKWATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sinkwatch}"
lock="$repository/third_party/libtorch.lock"

# What fetches LibTorch, which then comes beside the rest.
fetching=(ca-certificates python3 python3-pip unzip)
packages=(
  # build
  bazel-bootstrap bazel-rules-java bazel-rules-proto
  bazel-skylib bazel-platforms g++ git
  # libraries
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc
  libabsl-dev prometheus-cpp-dev libsqlite3-dev nlohmann-json3-dev
  libxxhash-dev libspdlog-dev libfmt-dev libssl-dev zlib1g-dev
  libyaml-cpp-dev libre2-dev
  # the demo
  curl
)
testing=(
  libgtest-dev libgmock-dev libbenchmark-dev prometheus
  nodejs chromium chromium-driver
  clang-format-14 clang-14
)

say() { printf '\033[1m%s\033[0m\n' "sinkwatch set-up: $*" >&2; }
die() { printf 'sinkwatch set-up: %s\n' "$*" >&2; exit 1; }

check_system() {
  local id="" version=""
  [[ -r /etc/os-release ]] && id="$(. /etc/os-release && echo "${ID:-}")" \
    && version="$(. /etc/os-release && echo "${VERSION_ID:-}")"
  [[ "$id" == debian && "$version" == 12 ]] || die "this is ${id:-an unknown system} ${version}, and set-up knows Debian 12 only; build in a container instead: docker build -f deploy/Dockerfile --target server ."
  [[ "$(uname -m)" == x86_64 ]] || die "this is $(uname -m), and the pinned LibTorch is for x86_64"
}

as_root() {
  if [[ "$(id -u)" == 0 ]]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "installing packages needs root: run as root, or install sudo"; fi
}

# Of the named packages, those that are not installed.
missing() {
  dpkg-query -W -f='${binary:Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
    awk '$2 == "installed" {sub(/:.*/, "", $1); print $1}' | sort >"$cache/.have"
  printf '%s\n' "$@" | sort | comm -23 - "$cache/.have"
}

install_packages() {
  local names
  names="$(missing "$@")"
  [[ -n "$names" ]] || return 0
  say "installing $(wc -w <<<"$names") system packages"
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends $names >>"$cache/apt.log" 2>&1 ||
    { tail -20 "$cache/apt.log" >&2; die "apt-get failed (whole log: $cache/apt.log)"; }
}

# One folder per lock file, so that a changed pin is a new folder.
libtorch_folder() { echo "$cache/libtorch-$(sha256sum "$lock" | cut -c1-12)"; }

# In a shell of its own, so that the trap ends with it.
install_libtorch() (
  folder="$(libtorch_folder)"
  [[ -e "$folder/.complete" ]] && exit
  say "downloading LibTorch (543 MB, once)"
  wheels="$(mktemp -d "$cache/wheels.XXXXXX")"
  trap 'rm -rf "$wheels"' EXIT
  /usr/bin/python3 -m pip download --quiet --no-deps --only-binary=:all: \
    --require-hashes --disable-pip-version-check -r "$lock" -d "$wheels" ||
    die "the wheels of third_party/libtorch.lock could not be downloaded"
  say "unpacking LibTorch into $folder"
  rm -rf "$folder" && mkdir -p "$folder"
  for wheel in "$wheels"/*.whl; do unzip -q -o "$wheel" -d "$folder"; done
  touch "$folder/.complete"
)

# The header that .bazelrc puts first in the sources with tensors, compiled with
# the flags that Bazel compiles them with; where they differ, the compiler reads
# the header instead.
precompile_prelude() {
  local folder header="$repository/third_party/torch_prelude.h"
  folder="$(libtorch_folder)"
  cmp --silent "$header" "$folder/torch_prelude.h" &&
    [[ -e "$folder/torch_prelude.h.gch" ]] && return
  say "precompiling LibTorch's headers"
  cp "$header" "$folder/torch_prelude.h"
  g++ -x c++-header "$folder/torch_prelude.h" -isystem "$folder/torch/include" \
    -std=c++17 -O2 -g0 -fPIC -fstack-protector -fno-omit-frame-pointer \
    -ffunction-sections -fdata-sections -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=1 \
    -DNDEBUG -DAT_PER_OPERATOR_HEADERS -o "$folder/torch_prelude.h.gch.tmp" &&
    mv "$folder/torch_prelude.h.gch.tmp" "$folder/torch_prelude.h.gch"
}

nvcc_lock="$repository/third_party/nvcc.lock"
nvcc_folder() { echo "$cache/nvcc-$(sha256sum "$nvcc_lock" | cut -c1-12)"; }

install_nvcc() (
  folder="$(nvcc_folder)"
  [[ -e "$folder/.complete" ]] && exit
  say "downloading nvcc (97 MB, once)"
  wheels="$(mktemp -d "$cache/wheels.XXXXXX")"
  trap 'rm -rf "$wheels"' EXIT
  /usr/bin/python3 -m pip download --quiet --no-deps --only-binary=:all: \
    --require-hashes --disable-pip-version-check -r "$nvcc_lock" -d "$wheels" ||
    die "the wheels of third_party/nvcc.lock could not be downloaded"
  rm -rf "$folder" && mkdir -p "$folder"
  for wheel in "$wheels"/*.whl; do unzip -q -o "$wheel" -d "$folder"; done
  # unzip keeps what the wheels say, which is not always that these are programs.
  chmod -R u+x "$folder"/nvidia/cu13/bin "$folder"/nvidia/cu13/nvvm/bin
  touch "$folder/.complete"
)

# The wheels that torch itself asks for, beside it, where it looks for them.
install_cuda() {
  local folder
  folder="$(libtorch_folder)"
  [[ -e "$folder/.cuda" ]] && return
  say "downloading CUDA's libraries (about 2 GB, once)"
  local wheels
  mapfile -t wheels < <(sed -n 's/^Requires-Dist: \(\(nvidia\|cuda\)-*[^ ;]*\).*/\1/p' \
    "$folder"/torch-*.dist-info/METADATA)
  [[ ${#wheels[@]} -gt 0 ]] || die "torch's metadata names no CUDA libraries"
  /usr/bin/python3 -m pip install --quiet --disable-pip-version-check \
    --only-binary=:all: --upgrade --target "$folder" "${wheels[@]}" ||
    die "CUDA's libraries could not be installed"
  touch "$folder/.cuda"
}

write_bazelrc() {
  local nvcc=""
  [[ -e "$(nvcc_folder)/.complete" ]] && nvcc="$(nvcc_folder)"
  cat >"$repository/.bazelrc.local.tmp" <<RC
build --repo_env=SINKWATCH_LIBTORCH=$(libtorch_folder)
build --repo_env=SINKWATCH_NVCC=$nvcc
build --disk_cache=$cache/bazel
test:tsan --test_env=TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$repository/tests/tsan.supp
RC
  mv "$repository/.bazelrc.local.tmp" "$repository/.bazelrc.local"
}

main() {
  local cuda="" kernels="" libtorch
  local argument tests=1
  for argument in "$@"; do
    case "$argument" in
      --build) tests="" ;;
      --kernels) kernels=1 ;;
      --cuda) cuda=1; kernels=1 ;;
      --fuzz) packages+=(libclang-rt-14-dev libfuzzer-14-dev llvm-14) ;;
      -h|--help) sed -n '2,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
      *) die "unknown argument '$argument' (see --help)" ;;
    esac
  done
  [[ -z "$tests" ]] || packages+=("${testing[@]}")
  check_system
  mkdir -p "$cache"
  : >"$cache/apt.log"
  [[ -z "$(missing "${fetching[@]}" "${packages[@]}")" ]] || as_root apt-get update -qq
  install_packages "${fetching[@]}"
  install_libtorch &
  libtorch=$!
  trap "kill $libtorch 2>/dev/null || true" EXIT
  install_packages "${packages[@]}"
  wait "$libtorch"
  trap - EXIT
  precompile_prelude
  [[ -z "$kernels" ]] || install_nvcc
  [[ -z "$cuda" ]] || install_cuda
  write_bazelrc
}

main "$@"
