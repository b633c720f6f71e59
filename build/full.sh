#!/usr/bin/env bash
# What takes too long for every change: the peer is built from source, and everything is compared with it; fuzzing runs
# longer. Each step's log is docs/full/STEP.log, with the commit it is of: commit it.
# usage: build/full.sh [STEP...]     all steps without one; --list names them
#   LEDGE_TEST_LLAMA=DIR   a llama.cpp that is built already (see build/llama.sh)
set -euo pipefail
cd "$(dirname "$0")/.."
export GOTOOLCHAIN=local

need_models() { # for every step; fetched once
  build/models.sh out/models >/dev/null
  [ -x out/venv/bin/python ] || python3 -m venv out/venv
  out/venv/bin/python -m pip install -q --disable-pip-version-check -r build/requirements.txt
  export LEDGE_TEST_MODELS=$PWD/out/models LEDGE_TEST_PYTHON=$PWD/out/venv/bin/python
  export PATH=$PWD/out/venv/bin:$PATH
}
need_llama() {
  if [ -z "${LEDGE_TEST_LLAMA:-}" ]; then
    build/llama.sh out/llama
    export LEDGE_TEST_LLAMA=$PWD/out/llama
  fi
}
need_ledge() { go build -o out/ledge ./cmd/ledge && go build -o out/ledge-bench ./cmd/ledge-bench; }

# every vocabulary of llama.cpp, and its speed
step_tokenizer() {
  need_llama
  LEDGE_TEST_ALL_VOCABS=1 LEDGE_TEST_SPEED=1 go test -count=1 -v -run 'Suites|Against|Speed' ./runtime/tokenizer | grep -vE '^(=== RUN|    --- PASS)'
}
# every template of llama.cpp against jinja2
step_chat() {
  need_llama
  go test -count=1 -v -run Conformance ./runtime/chat | grep -vE '^(=== RUN|        --- PASS)' | tail -n 40
}
# what llama.cpp and the gguf package wrote
step_files() {
  need_llama
  go test -count=1 ./runtime/weights/gguf ./graph/dtype
}
# perplexity and text of the real models
step_perplexity() {
  need_llama
  go test -count=1 -v -timeout 30m ./runtime/eval ./runtime/engine -run 'Perplexity|GreedyText' | grep -v '=== RUN'
  need_ledge
  for model in "$LEDGE_TEST_MODELS"/{smollm2-135m-instruct-q4_1,gemma-3-270m-q4_k_m}.gguf; do
    for text in GPL-3 GPL-2; do
      file=/usr/share/common-licenses/$text
      [ -r "$file" ] || continue
      printf '%s %s ledge %s llama.cpp ' "$(basename "$model")" "$text" \
        "$(out/ledge perplexity -m "$model" -f "$file" -c 512 --chunks 6 --json 2>/dev/null)"
      "$LEDGE_TEST_LLAMA"/bin/llama-perplexity -m "$model" -f "$file" -c 512 --chunks 6 2>&1 | grep -o 'Final estimate.*'
    done
  done
}
# divergence beside llama.cpp, metrics beside scikit-learn
step_metrics() {
  need_llama
  [ -x out/sklearn/bin/python ] || python3 -m venv out/sklearn
  out/sklearn/bin/python -m pip install -q --disable-pip-version-check scikit-learn==1.9.1
  LEDGE_TEST_PYTHON_SKLEARN=$PWD/out/sklearn/bin/python go test -count=1 -v ./runtime/eval -run 'LlamaDivergence|MetricsLive' | grep -v '=== RUN'
}
# training beside PyTorch (docs/training.md)
step_training() {
  if [ -x out/torch/bin/python ]; then go run ./build/trainspeed measure -rounds 6 -journal out/trainspeed-short.jsonl; else echo "no out/torch: see build/trainspeed/main.go"; fi
}
# speed side by side, shortly (docs/performance.md has the whole comparison)
step_speed() {
  need_llama
  need_ledge
  go run ./build/benchmodels -models "$LEDGE_TEST_MODELS" -llama "$LEDGE_TEST_LLAMA"
  local status=0 # 4: a peer failed, and the others were measured
  out/ledge-bench run docs/performance.yaml --journal out/performance-short.jsonl --set models="$LEDGE_TEST_MODELS" --set llama="$LEDGE_TEST_LLAMA/bin" \
    --only '^(speed|start|together)/(SmolLM2-135M-Q4_[01]|Gemma)' || status=$?
  [ "$status" = 0 ] || [ "$status" = 4 ] || return "$status"
  out/ledge-bench table docs/performance.yaml --journal out/performance-short.jsonl
}
# our declarations of CUDA's driver API against NVIDIA's: the oldest and a late CUDA 12
step_headers() {
  for version in 12.0.146 12.6.77; do # the headers are the same for every architecture
    out/venv/bin/python -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --platform manylinux1_x86_64 \
      --platform manylinux2014_x86_64 -d out/cuda/wheels "nvidia-cuda-runtime-cu12==$version"
    out/venv/bin/python -m zipfile -e out/cuda/wheels/nvidia_cuda_runtime_cu12-"$version"-*.whl "out/cuda/$version"
  done
  go run ./build/cudaheader check out/cuda/*/nvidia/cuda_runtime/include/cuda.h
}
# NVIDIA's assemblers take the CUDA kernels for every GPU
step_ptxas() {
  build/ptxas.sh out/ptxas
  LEDGE_TEST_PTXAS=$PWD/out/ptxas LEDGE_TEST_FULL=1 go test -count=1 -v -timeout 30m ./build/ptxas | grep -v '=== RUN'
}
# the whole suite on the emulated GPU, as Orin and as Xavier
step_cuda() {
  source build/cgo.sh
  LEDGE_TEST_FULL=1 go test -count=1 -timeout 60m -tags "$tags" ./backend/cuda
}
# the same under AddressSanitizer and its sibling for undefined behaviour, in other orders of blocks and threads
step_sanitizers() {
  source build/cgo.sh
  for seed in 2 3; do
    LEDGE_TEST_FULL=1 LEDGE_EMULATE_SEED=$seed go test -count=1 -asan -timeout 90m -tags "$tags" -run '^(TestConformance|TestAgainstReference)$' -skip '^TestConformance$/./^suite$/^misuse$/^allocations$' ./backend/cuda
  done
}
# every call of a generation fails in every way; with the race detector, a selection
step_faults() {
  source build/cgo.sh
  LEDGE_TEST_FULL=1 go test -count=1 -v -timeout 90m -tags "$tags" ./backend/internal/faulttest | grep -v '=== RUN'
  go test -count=1 -race -timeout 30m -tags "$tags" -run 'Picked|Two|Cancelled|Layers' ./backend/internal/faulttest
}
# the C library: threads that open, generate, cancel and close, 8,000 times; memory as valgrind sees it; what C costs
step_library() {
  LEDGE_TEST_FULL=1 go test -count=1 -v -timeout 60m -run 'Programs|Valgrind|StreamingCost|Arm64' ./cmd/libledge | grep -v '=== RUN'
  go test -run XXX -bench Streaming -benchtime 20x ./cmd/libledge
}
# the default model: no sentence of 400,000 has two commands; its first token within 50 ms of the process
step_home() {
  LEDGE_TEST_FULL=1 go test -count=1 -timeout 20m -run OneSentence ./runtime/home/generate
  build/build.sh
  go run ./build/homestart -ledge out/bin/ledge -max 50
}
# installed in fresh roots of Debian 11 and 12, arm64's under qemu; built again from nothing; kernels from their sources
step_packages() {
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap proot lintian >/dev/null
  fi
  build/package.sh
  build/package-test.sh --roots
  build/reproduce.sh --cold
  cmake -B out/package/kernels -G Ninja -DLEDGE_REBUILD_KERNELS=ON
  cmake --build out/package/kernels --target kernels
  git diff --exit-code --stat kernels
  echo "the kernels that are committed are what their sources give"
}
# every parser of outside bytes, 20 s a target
step_fuzzing() { build/fuzz.sh 20s; }

all=$(grep -oP '^step_\K\w+' build/full.sh | tr '\n' ' ')
what() { grep -B1 "^step_$1()" build/full.sh | sed -n 's/^# //p'; }
case ${1:-} in
--list) for s in $all; do printf '%-12s%s\n' "$s" "$(what "$s")"; done; exit ;;
--step) # this script calls itself: a step that fails ends, and the others go on
  "step_$2"
  exit
  ;;
esac
[ $# -gt 0 ] || set -- $all
for s; do
  grep -qw -- "$s" <<<"$all" || { echo "full: there is no step $s; there are: $all" >&2; exit 2; }
done
mkdir -p docs/full out
need_models
failed=
for s; do
  begun=$SECONDS
  {
    printf '%s: %s\n' "$s" "$(what "$s")"
    echo "commit $(git rev-parse HEAD)$(git diff --quiet HEAD -- . ':!docs' || echo ', with local changes'), $(date -u +%F), $(go version)"
    grep -m1 'model name' /proc/cpuinfo || true
    echo
    if build/full.sh --step "$s"; then echo "passed in $((SECONDS - begun)) s"; else echo "FAILED after $((SECONDS - begun)) s"; fi
  } 2>&1 | sed -u "s#$PWD#.#g; s#${TMPDIR:-/tmp}/tmp\.[A-Za-z0-9]*#TMP#g" | tee "docs/full/$s.log"
  tail -n 1 "docs/full/$s.log" | grep -q '^passed' || failed="$failed $s"
done
[ -z "$failed" ] || { echo "full: failed:$failed" >&2; exit 1; }
