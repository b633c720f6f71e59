#!/usr/bin/env bash
# What takes too long for every change: the peer is built from source, and everything is compared with it; fuzzing runs
# longer. The log is docs/full.log: commit it.
#   LEDGE_TEST_LLAMA=DIR   a llama.cpp that is built already (see build/llama.sh)
set -euo pipefail
cd "$(dirname "$0")/.."
exec > >(tee docs/full.log) 2>&1
export GOTOOLCHAIN=local
step() { printf '\n== %s (%ss)\n' "$*" "$SECONDS"; }

echo "commit $(git rev-parse HEAD) $(git diff --quiet || echo with local changes)"
go version
grep -m1 'model name' /proc/cpuinfo || true

step "models, peer, references"
build/models.sh out/models
export LEDGE_TEST_MODELS=$PWD/out/models
if [ -z "${LEDGE_TEST_LLAMA:-}" ]; then
  build/llama.sh out/llama
  export LEDGE_TEST_LLAMA=$PWD/out/llama
fi
[ -x out/venv/bin/python ] || python3 -m venv out/venv
out/venv/bin/python -m pip install -q --disable-pip-version-check -r build/requirements.txt
export LEDGE_TEST_PYTHON=$PWD/out/venv/bin/python
export PATH=$PWD/out/venv/bin:$PATH

step "tokenizer: every vocabulary of llama.cpp, and its speed"
LEDGE_TEST_ALL_VOCABS=1 LEDGE_TEST_SPEED=1 go test -count=1 -v -run 'Suites|Against|Speed' ./runtime/tokenizer |
  grep -vE '^(=== RUN|    --- PASS)'

step "chat: every template of llama.cpp against jinja2"
go test -count=1 -v -run Conformance ./runtime/chat | grep -vE '^(=== RUN|        --- PASS)' | tail -n 40

step "files: what llama.cpp and the gguf package wrote"
go test -count=1 ./runtime/weights/gguf ./graph/dtype

step "perplexity and text of the real models"
go test -count=1 -v -timeout 30m ./runtime/eval ./runtime/engine -run 'Perplexity|GreedyText' | grep -v '=== RUN'

step "divergence beside llama.cpp, metrics beside scikit-learn"
[ -x out/sklearn/bin/python ] || python3 -m venv out/sklearn
out/sklearn/bin/python -m pip install -q --disable-pip-version-check scikit-learn==1.9.1
LEDGE_TEST_PYTHON_SKLEARN=$PWD/out/sklearn/bin/python go test -count=1 -v ./runtime/eval -run 'LlamaDivergence|MetricsLive' | grep -v '=== RUN'

step "perplexity side by side"
go build -o out/ledge ./cmd/ledge
go build -o out/ledge-bench ./cmd/ledge-bench
for model in "$LEDGE_TEST_MODELS"/{smollm2-135m-instruct-q4_1,gemma-3-270m-q4_k_m}.gguf; do
  for text in GPL-3 GPL-2; do
    file=/usr/share/common-licenses/$text
    [ -r "$file" ] || continue
    printf '%s %s ledge %s llama.cpp ' "$(basename "$model")" "$text" \
      "$(out/ledge perplexity -m "$model" -f "$file" -c 512 --chunks 6 --json 2>/dev/null)"
    "$LEDGE_TEST_LLAMA"/bin/llama-perplexity -m "$model" -f "$file" -c 512 --chunks 6 2>&1 | grep -o 'Final estimate.*'
  done
done

step "training beside PyTorch (docs/training.md)"
if [ -x out/torch/bin/python ]; then go run ./build/trainspeed measure -rounds 6 -journal out/trainspeed-short.jsonl; else echo "no out/torch: see build/trainspeed/main.go"; fi

step "speed side by side, shortly (docs/performance.md has the whole comparison)"
go run ./build/benchmodels -models "$LEDGE_TEST_MODELS" -llama "$LEDGE_TEST_LLAMA"
status=0 # 4: a peer failed, and the others were measured
out/ledge-bench run docs/performance.yaml --journal out/performance-short.jsonl --set models="$LEDGE_TEST_MODELS" --set llama="$LEDGE_TEST_LLAMA/bin" \
  --only '^(speed|start|together)/(SmolLM2-135M-Q4_[01]|Gemma)' || status=$?
[ "$status" = 0 ] || [ "$status" = 4 ] || exit "$status"
out/ledge-bench table docs/performance.yaml --journal out/performance-short.jsonl

step "our declarations of CUDA's driver API against NVIDIA's: the oldest and a late CUDA 12"
for version in 12.0.146 12.6.77; do # the headers are the same for every architecture
  out/venv/bin/python -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --platform manylinux1_x86_64 \
    --platform manylinux2014_x86_64 -d out/cuda/wheels "nvidia-cuda-runtime-cu12==$version"
  out/venv/bin/python -m zipfile -e out/cuda/wheels/nvidia_cuda_runtime_cu12-"$version"-*.whl "out/cuda/$version"
done
go run ./build/cudaheader check out/cuda/*/nvidia/cuda_runtime/include/cuda.h

step "CUDA kernels: NVIDIA's assemblers take them for every GPU"
if build/ptxas.sh out/ptxas; then LEDGE_TEST_PTXAS=$PWD/out/ptxas LEDGE_TEST_FULL=1 go test -count=1 -v -timeout 30m ./build/ptxas | grep -v '=== RUN'; fi

step "the whole suite on the emulated GPU, as Orin and as Xavier; then under AddressSanitizer and its sibling for undefined behaviour"
(
  source build/cgo.sh
  export LEDGE_TEST_FULL=1
  go test -count=1 -timeout 60m -tags "$tags" ./backend/cuda
  for seed in 2 3; do # other orders of blocks and threads
    LEDGE_EMULATE_SEED=$seed go test -count=1 -asan -timeout 90m -tags "$tags" -run '^(TestConformance|TestAgainstReference)$' -skip '^TestConformance$/./^suite$/^misuse$/^allocations$' ./backend/cuda
  done
)

step "faults: every call of a generation fails in every way; with the race detector, a selection"
(
  source build/cgo.sh
  LEDGE_TEST_FULL=1 go test -count=1 -v -timeout 90m -tags "$tags" ./backend/internal/faulttest | grep -v '=== RUN'
  go test -count=1 -race -timeout 30m -tags "$tags" -run 'Picked|Two|Cancelled|Layers' ./backend/internal/faulttest
)

step "the C library: threads that open, generate, cancel and close, 8,000 times; memory as valgrind sees it; what C costs"
LEDGE_TEST_FULL=1 go test -count=1 -v -timeout 60m -run 'Programs|Valgrind|StreamingCost|Arm64' ./cmd/libledge | grep -v '=== RUN'
go test -run XXX -bench Streaming -benchtime 20x ./cmd/libledge

step "the default model's data: no sentence of 400,000 has two commands"
LEDGE_TEST_FULL=1 go test -count=1 -timeout 20m -run OneSentence ./runtime/home/generate

step "the built-in model: its first token within 50 ms of the process"
build/build.sh
go run ./build/homestart -ledge out/bin/ledge -max 50

step "packages: installed in fresh roots of Debian 11 and 12, arm64's under qemu; built again from nothing; kernels from their sources"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap proot lintian >/dev/null
fi
build/package.sh
build/package-test.sh --roots
build/reproduce.sh --cold
cmake -B out/package/kernels -G Ninja -DLEDGE_REBUILD_KERNELS=ON
cmake --build out/package/kernels --target kernels
git diff --exit-code --stat kernels && echo "the kernels that are committed are what their sources give"

step "fuzzing, 20 s a target"
build/fuzz.sh 20s

step "done"
