#!/usr/bin/env bash
# Everything that must hold before a change lands: installs what the tests need (Debian packages and Python packages,
# when it may), then builds, vets and runs every test. At most 30 minutes on two cores.
#   LEDGE_TEST_OFFLINE=1   fetch nothing: tests that need a real model or a reference skip, by name
set -euo pipefail
cd "$(dirname "$0")/.."
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
offline=${LEDGE_TEST_OFFLINE:-}

mkdir -p out
step() { printf '\n== %s (%ss)\n' "$*" "$SECONDS"; }
# together FUNCTION...: side by side, for most of a stage has work for one core; each line says whose it is.
together() {
  local f failed=0
  local -A running
  for f; do
    (set -o pipefail; "$f" 2>&1 | sed -u "s/^/$f: /") &
    running[$f]=$!
  done
  for f; do wait "${running[$f]}" || { failed=1; echo "$f FAILED"; }; done
  return "$failed"
}

step "what the tests need"
need=()
command -v gcc >/dev/null || need+=(gcc libc6-dev) # the race detector
command -v python3 >/dev/null || need+=(python3)
python3 -m pip --version >/dev/null 2>&1 || need+=(python3-pip)
python3 -c 'import venv, ensurepip' 2>/dev/null || need+=(python3-venv)
command -v qemu-aarch64-static >/dev/null || need+=(qemu-user-static)                # the arm64 kernels
command -v aarch64-linux-gnu-objdump >/dev/null || need+=(binutils-aarch64-linux-gnu) # reads their instructions
# Drivers of the GPU backends that compute on the processor, and what builds and checks kernels.
have() { compgen -G "$1" >/dev/null; }
have '/usr/share/vulkan/icd.d/lvp_icd*' || need+=(mesa-vulkan-drivers)
have '/usr/lib/*/libvulkan.so.1' || need+=(libvulkan1)
have '/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json' || need+=(vulkan-validationlayers)
command -v glslc >/dev/null || need+=(glslc)
command -v spirv-val >/dev/null || need+=(spirv-tools)
have '/etc/OpenCL/vendors/pocl.icd' || need+=(pocl-opencl-icd)
have '/usr/lib/*/libOpenCL.so.1' || need+=(ocl-icd-libopencl1)
have '/usr/lib/*/libEGL.so.1' || need+=(libegl1)
have '/usr/lib/*/libGLESv2.so.2' || need+=(libgles2)
have '/usr/lib/*/dri/swrast_dri.so' || need+=(libgl1-mesa-dri)
command -v pkg-config >/dev/null || need+=(pkg-config) # go-gl
command -v clang-19 >/dev/null || need+=(clang-19)     # the CUDA kernels
command -v g++ >/dev/null || need+=(g++)               # ... and the GPU that is emulated with them
# What uses the C library, and looks at how it uses memory.
command -v cmake >/dev/null || need+=(cmake make)
command -v ninja >/dev/null || need+=(ninja-build)
command -v javac >/dev/null || need+=(openjdk-17-jdk-headless)
command -v valgrind >/dev/null || need+=(valgrind)
command -v chromium >/dev/null || need+=(chromium fonts-noto-cjk) # reads reports
command -v aarch64-linux-gnu-gcc >/dev/null || need+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
# What reads manual pages and completes command lines.
for tool in groff mandoc zsh fish; do command -v $tool >/dev/null || need+=($tool); done
if [ ${#need[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ -z "$offline" ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
elif [ ${#need[@]} -gt 0 ]; then
  echo "not installed: ${need[*]}: tests that need them skip"
fi
if [ -z "$offline" ]; then
  if build/models.sh out/models; then export LEDGE_TEST_MODELS=$PWD/out/models; fi
  if build/ptxas.sh out/ptxas; then export LEDGE_TEST_PTXAS=$PWD/out/ptxas; fi # NVIDIA's assemblers
  # References in Python: jinja2 for chat templates, gguf for files, the schema of bills of materials.
  if [ ! -x out/venv/bin/python ]; then python3 -m venv out/venv; fi
  if out/venv/bin/python -m pip install -q --disable-pip-version-check -r build/requirements.txt; then
    export LEDGE_TEST_PYTHON=$PWD/out/venv/bin/python
  fi
fi

step "format"
bad=$(gofmt -l $(git ls-files '*.go'))
if [ -n "$bad" ]; then printf 'not gofmt-ed:\n%s\n' "$bad"; exit 1; fi

step "build and vet: plain, static, other systems"
go build ./...
go vet ./...
CGO_ENABLED=0 go vet -tags static ./...
CGO_ENABLED=0 go test -tags static ./backend/nvml # says that it loads nothing
for target in android/arm64 darwin/arm64 windows/amd64 linux/arm64 linux/riscv64 linux/386 linux/arm; do
  echo "$target"
  GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 go build ./...
done
GOOS=linux GOARCH=386 CGO_ENABLED=0 go vet ./... # the tests, too: they have numbers that do not fit 32 bits

if [ -z "$offline" ]; then
  step "staticcheck"
  GOFLAGS= go run "$staticcheck" ./...
fi

step "CUDA kernels: what is committed is what the sources give"
if command -v clang-19 >/dev/null; then
  go run ./kernels/cuda/gen -check
else
  echo "skipped: no clang-19 (Debian package clang-19)"
fi

step "tests"
if ! go test -v -timeout 20m ./... >out/test.log 2>&1; then
  grep -vE '^ *(=== |--- PASS)' out/test.log | tail -n 400
  echo "what failed, once more:" # for whoever sees the end of this only
  grep -E -B 15 -A 12 '^ *--- FAIL|^panic: |^FAIL\s' out/test.log | grep -vE '^ *(=== |--- PASS|--- SKIP)|^(PASS|ok)' | tail -n 80
  exit 1
fi
grep -E '^ok' out/test.log
echo "skipped, and why:"
grep -A1 -E '^ *--- SKIP' out/test.log | grep -v '^--$' || echo "nothing"

step "32 bits: the CPU backend with plain Go"
if [ "$(go env GOARCH)" = amd64 ]; then # which runs those programs, too
  GOARCH=386 CGO_ENABLED=0 go test -short -timeout 10m ./backend/cpu/...
else
  echo "skipped: no amd64"
fi

step "the arm64 kernels, emulated: NEON, dotprod, i8mm"
if command -v qemu-aarch64-static >/dev/null; then
  for package in kernels/cpu backend/cpu/pool backend/cpu; do
    GOARCH=arm64 CGO_ENABLED=0 go test -c -o "out/${package//\//-}-arm64.test" "./$package"
    # Each has the levels of those before it, too, which are tested there; plain Go has run above.
    echo "$package cortex-a72 generic"
    echo "$package cortex-a76 generic|neon"
    echo "$package max generic|neon|dotprod"
  done >out/arm64
  emulated() { # package, processor, levels that are left out
    local test=$PWD/out/${1//\//-}-arm64.test out failed=
    out=$(cd "$1" && qemu-aarch64-static -cpu "$2" "$test" -test.short -test.timeout 10m -test.skip "TestConformance/^($3)" 2>&1) || failed=1
    printf '%s on %s\n%s\n' "$1" "$2" "$out"
    [ -z "$failed" ]
  }
  export -f emulated
  xargs -P "$(nproc)" -L 1 bash -c 'emulated "$@"' emulated <out/arm64
else
  echo "skipped: no qemu-aarch64-static (Debian package qemu-user-static)"
fi

step "OpenGL ES and CUDA, and the build that has them: vet, tests on Mesa's llvmpipe, CMake"
if command -v gcc >/dev/null && command -v pkg-config >/dev/null; then
  ( # what cgo needs is for this stage alone
    source build/cgo.sh
    go vet -tags "$tags" ./...
    if [ -z "$offline" ]; then GOFLAGS= go run "$staticcheck" -tags "$tags" ./backend/gles ./backend/cuda/...; fi
    if have '/usr/lib/*/libEGL.so.1' && have '/usr/lib/*/dri/swrast_dri.so'; then export LEDGE_TEST_GLES=1; fi # no skips
    emulated_gpu() {
      go test -timeout 15m -tags "$tags" ./backend/cuda/...
      go test -timeout 10m -tags "$tags" -run '^Test[A-Za-z]+$/^(gles|cuda)$' ./backend/internal/faulttest
      go test -short -timeout 10m -tags "$tags" ./backend/gles # shorter: llvmpipe compiles each variant anew
    }
    sanitized_gpu() {
      # Kernels, and what the backend gives them, under AddressSanitizer; under it some of Go's own calls allocate. Kernels for older
      # GPUs are left out, and newer ones, which have the same and begin them earlier: build/full.sh has all.
      go test -asan -timeout 15m -tags "$tags" -run '^(TestConformance|TestAgainstReference)$' -skip '^TestConformance$/^capability=(72|90)|^TestAgainstReference$/^capability=75|^TestConformance$/./^suite$/^misuse$/^allocations$' ./backend/cuda
      go test -short -timeout 10m -tags "$tags" -run '^Test[A-Za-z]+$/^(gles|cuda)' ./backend/all # the others ran above
    }
    together emulated_gpu sanitized_gpu
    if command -v aarch64-linux-gnu-gcc >/dev/null; then # a cross compiler has nothing to say, either
      said=$(export GOARCH=arm64 CC=aarch64-linux-gnu-gcc; source build/cgo.sh; go test -c -tags "$tags" -o /dev/null ./backend/cuda 2>&1) || { echo "$said"; exit 1; }
      if [ -n "$said" ]; then echo "$said"; exit 1; fi
    fi
    cmake -B out -G Ninja
    cmake --build out
    (cd out && ctest --output-on-failure)
    LEDGE_TEST_LIBRARY=$PWD/out go test -run 'Exports|Programs|Defaults|ExampleC$' ./cmd/libledge
    out/bin/ledge devices
    for libcuda in /none/libcuda.so.1 "$PWD/build/test.sh"; do # none, and one that is none
      LEDGE_LIBCUDA=$libcuda out/bin/ledge version >/dev/null
      LEDGE_LIBCUDA=$libcuda out/bin/ledge devices --help >/dev/null
    done
  )
else
  echo "skipped: gcc and pkg-config are needed"
fi

step "packages: built with zig for glibc 2.31, unpacked and run, arm64's under qemu; amd64's built again elsewhere; race detector"
packages() {
  if [ -n "$offline" ] && [ ! -x out/zig/ziglang/zig ]; then
    echo "skipped: no zig (build/zig.sh fetches it)"
  elif command -v dpkg-deb >/dev/null && command -v ninja >/dev/null && command -v pkg-config >/dev/null; then
    build/package.sh
    build/package-test.sh
    build/reproduce.sh out/packages amd64
  else
    echo "skipped: dpkg-deb, ninja and pkg-config are needed"
  fi
}
race() { go test -race -timeout 15m -short . ./runtime/power/governor ./runtime/sched ./runtime/kvcache ./runtime/engine ./runtime/hub ./backend/cpu/pool; }
together packages race

step "fuzzing, briefly"
build/fuzz.sh 2s

step "done"
