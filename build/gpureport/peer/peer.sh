#!/usr/bin/env bash
# Times llama.cpp's Vulkan backend on the software driver lavapipe: prints tokens a second of a prompt of 64 and of 8
# generated tokens. The libraries come from the npm package @node-llama-cpp/linux-x64-vulkan, kept in out/peer.
# usage: build/gpureport/peer/peer.sh MODEL
set -euo pipefail
cd "$(dirname "$0")/../../.."
version=3.22.1
lib=$PWD/out/peer/package/bins/linux-x64-vulkan
if [ ! -x out/peer/peer ]; then
  mkdir -p out/peer
  (cd out/peer && npm pack --silent "@node-llama-cpp/linux-x64-vulkan@$version" >/dev/null && tar xzf ./*.tgz && rm -f ./*.tgz)
  gcc -O2 -Wall -o out/peer/peer build/gpureport/peer/peer.c -L"$lib" -l:libllama.vulkan.v0.5.0.so -l:libggml.vulkan.v0.5.0.so \
    -l:libggml-base.so -Wl,-rpath,"$lib" -Wl,--allow-shlib-undefined
fi
VK_ICD_FILENAMES=${VK_ICD_FILENAMES:-/usr/share/vulkan/icd.d/lvp_icd.x86_64.json} GGML_VK_VISIBLE_DEVICES=0 \
  exec out/peer/peer "$lib" "$1"
