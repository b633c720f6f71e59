#!/usr/bin/env bash
# Builds llama.cpp with CUDA, the peer of Ledge's CUDA backend, from the source that build/llama.sh uses, into DIR:
# DIR/bin has its programs. ARCH is the GPU's compute capability without the point (87 for Orin, 90 for H100), or native
# for the one in this machine. nvcc is that of CUDACXX or PATH; where there is none, CUDA 13.0 is taken from NVIDIA's
# Python packages (x86-64, 600 MB): that needs no GPU, and makes programs for any processor with AVX2.
# A source that DIR/src holds already is taken as it is, so no network is needed. Nothing of it is ever committed.
# usage: build/llama-cuda.sh [DIR [ARCH]]   (default out/llama-cuda native)
set -euo pipefail
dir=${1:-out/llama-cuda}
arch=${2:-native}
case $arch in
  native) ;;
  [1-9][0-9] | [1-9][0-9][0-9]) arch=$arch-real ;;
  *) echo "build/llama-cuda.sh: ARCH $arch: it must be native or a compute capability such as 87 or 90" >&2; exit 2 ;;
esac
targets=(llama-bench llama-batched-bench llama-perplexity llama-simple)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
missing=
for t in "${targets[@]}"; do [ -x "$dir/bin/$t" ] || missing=1; done
[ -z "$missing" ] && exit 0
"$(dirname "$0")"/llama-source.sh "$dir"

nvcc=${CUDACXX:-$(command -v nvcc || true)}
flags=(-DGGML_NATIVE=ON)
if [ -z "$nvcc" ]; then
  if [ "$arch" = native ]; then
    echo "build/llama-cuda.sh: no nvcc in PATH: name it in CUDACXX, or give ARCH to build with NVIDIA's Python packages" >&2; exit 2
  fi
  toolkit=$dir/toolkit/nvidia/cu13
  nvcc=$toolkit/bin/nvcc
  flags=(-DGGML_NATIVE=OFF -DGGML_SSE42=ON -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON
    -DGGML_OPENMP=OFF -DCUDAToolkit_ROOT="$toolkit" -DCMAKE_BUILD_RPATH="$toolkit/lib")
  if [ ! -x "$nvcc" ]; then
    python3 -m pip install -q --no-deps --disable-pip-version-check --target "$dir/toolkit" \
      nvidia-{cuda-nvcc,nvvm,cuda-crt,cuda-runtime,cuda-cccl,cublas}==13.0.*
    # What an installed toolkit has and the packages lack: names without a version, and the driver's library to link with.
    ln -sfn lib "$toolkit/lib64"
    for lib in "$toolkit"/lib/*.so.*; do ln -sf "$(basename "$lib")" "${lib%.so.*}.so"; done
    mkdir -p "$toolkit/lib/stubs"
    grep -ohE '\bcu(Get|Device|Mem)[A-Z][A-Za-z]*\(' "$dir"/src/ggml/src/ggml-cuda/*.cu* | sort -u | sed 's/^/int /; s/$/void) { return 100; }/' |
      cc -shared -fPIC -Wl,-soname,libcuda.so.1 -x c -o "$toolkit/lib/stubs/libcuda.so" -
    chmod +x "$toolkit"/bin/* "$toolkit"/nvvm/bin/*
  fi
fi
# Undefined symbols of shared libraries are let be: where there is no driver, its library is the stub.
cmake -S "$dir/src" -B "$dir/build" -DCMAKE_BUILD_TYPE=Release "${flags[@]}" -DGGML_CUDA=ON \
  -DCMAKE_CUDA_COMPILER="$nvcc" -DCMAKE_CUDA_ARCHITECTURES="$arch" -DGGML_CUDA_NCCL=OFF -DLLAMA_CURL=OFF \
  -DCMAKE_EXE_LINKER_FLAGS=-Wl,--allow-shlib-undefined -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF >/dev/null
cmake --build "$dir/build" --parallel "$(nproc)" --target "${targets[@]}" >/dev/null
ln -sfn "$dir/build/bin" "$dir/bin"
