#!/usr/bin/env bash
# Puts together what the quality of quantisation is measured with, in DIR: text.txt, licences as Debian has them and pages
# of docs/ in turn (from the commit REV, so that it stays the same), and calibration.txt, pages of llama.cpp (its source is
# LLAMA) that have nothing in common with it.
# usage: build/quantreport/texts.sh DIR LLAMA [REV]
set -euo pipefail
dir=$1 llama=$2 rev=${3:-b203697}
cd "$(dirname "$0")/../.."
mkdir -p "$dir"
licences=(GPL-3 MPL-2.0 Apache-2.0 GFDL-1.3 LGPL-2.1 GPL-2 Artistic MPL-1.1)
: >"$dir/text.txt"
i=0
while read -r page; do
  if [ $i -lt ${#licences[@]} ]; then cat "/usr/share/common-licenses/${licences[$i]}" >>"$dir/text.txt"; fi
  git show "$rev:$page" >>"$dir/text.txt"
  i=$((i + 1))
done < <(git ls-tree --name-only "$rev" docs/ | grep '\.md$')
cat "$llama"/README.md "$llama"/docs/build.md "$llama"/docs/function-calling.md >"$dir/calibration.txt"
wc -c "$dir/text.txt" "$dir/calibration.txt"
