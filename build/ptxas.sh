#!/usr/bin/env bash
# Fetches NVIDIA's assembler, ptxas, from the Python packages that carry it, into DIR (default out/ptxas): DIR/12/ptxas,
# the last that knows Xavier (sm_72), and DIR/13/ptxas, which knows Thor (sm_110). build/ptxas runs them.
# What is there already is kept. Nothing of it is ever committed.
# usage: build/ptxas.sh [DIR]
set -euo pipefail
dir=${1:-out/ptxas}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# fetch NAME PACKAGE VERSION: ptxas of a package's wheel is DIR/NAME/ptxas.
fetch() {
  if [ -x "$dir/$1/ptxas" ] && "$dir/$1/ptxas" --version | grep -q "V$3\$"; then return 0; fi
  python3 -m pip download -q --no-deps --disable-pip-version-check -d "$tmp/$1" "$2==$3"
  mkdir -p "$dir/$1"
  python3 - "$tmp/$1" "$dir/$1/ptxas" <<'PY'
import fnmatch, glob, os, shutil, sys, zipfile
folder, out = sys.argv[1:]
(wheel,) = glob.glob(f"{folder}/*.whl")
with zipfile.ZipFile(wheel) as z:
    (member,) = [n for n in z.namelist() if fnmatch.fnmatch(n, "*/bin/ptxas")]
    with z.open(member) as src, open(out + ".part", "wb") as f:
        shutil.copyfileobj(src, f)
os.chmod(out + ".part", 0o755) # the wheel has it without the right to run
os.rename(out + ".part", out)
PY
  "$dir/$1/ptxas" --version | grep -q "V$3\$"
}

# build/ptxas/assemble.go names the same versions.
fetch 12 nvidia-cuda-nvcc-cu12 12.9.86
fetch 13 nvidia-cuda-nvcc 13.5.37
