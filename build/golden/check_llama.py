#!/usr/bin/env python3
"""Compares the committed logits with llama.cpp's own on the same files.

    LEDGE_TEST_LLAMA=DIR python build/golden/check_llama.py [NAME...]

DIR is a llama.cpp build: DIR/bin (libllama.so, llama-tokenize) and DIR/src (its source, for the headers). The small
program llama_logits.c next to this script is compiled against it. Prints, for each model, the largest
difference in units of the logits' range and the number of positions whose top token differs; leaves 1
as exit status when a model lies beyond the limit. It needs NumPy and gguf, but neither torch nor
transformers.
"""

import argparse
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from specs import K256, SPECS

TESTDATA = Path(__file__).resolve().parents[2] / "runtime" / "model" / "testdata"
LIMIT = 1e-3  # of the range, the demand on Ledge itself


def compile_tool(llama: Path, into: Path) -> Path:
    exe, lib = into / "llama_logits", llama / "bin"
    subprocess.run(
        [os.environ.get("CC", "cc"), "-O1", "-o", exe, Path(__file__).with_name("llama_logits.c"),
         f"-I{llama}/src/include", f"-I{llama}/src/ggml/include",
         f"-L{lib}", f"-Wl,-rpath,{lib}", "-lllama", "-lggml", "-lggml-base"], check=True)
    return exe


def load(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def tokenizes(llama: Path, model: Path, sample: dict) -> bool:
    r = subprocess.run([llama / "bin" / "llama-tokenize", "-m", model, "--ids", "--log-disable", "-p", sample["text"]],
                       env=dict(os.environ, LD_LIBRARY_PATH=str(llama / "bin")), capture_output=True, check=True)
    return json.loads(r.stdout) == sample["tokens"]


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*")
    p.add_argument("--dir", type=Path, default=TESTDATA, help="folder of the manifest")
    a = p.parse_args()
    if "LEDGE_TEST_LLAMA" not in os.environ:
        sys.exit("check_llama: set LEDGE_TEST_LLAMA to a folder with llama.cpp's bin/ and src/")
    llama = Path(os.environ["LEDGE_TEST_LLAMA"]).resolve()
    specs = {s.name: s for s in [*SPECS, K256]}
    manifest = json.loads((a.dir / "manifest.json").read_text())
    bad = 0
    with tempfile.TemporaryDirectory() as tmp:
        exe = compile_tool(llama, Path(tmp))
        for m in manifest["models"]:
            if a.names and m["name"] not in a.names:
                continue
            spec = specs[m["name"]]
            file = Path(tmp) / f"{m['name']}.gguf"
            file.write_bytes(load(a.dir / m["gguf"]))
            if not tokenizes(llama, file, manifest["tokenizer"]):
                bad += 1
                print(f"{m['name']:20} BAD the sample text gives other tokens")
            ref = np.load(io.BytesIO(load(a.dir / m["logits"])))
            size = max(s["max"] for s in m["sequences"]) - min(s["min"] for s in m["sequences"])
            worst, tops = [], 0
            for s in m["sequences"]:
                args = list(spec.llama_cpp_args)
                if spec.original and len(s["tokens"]) <= spec.original:
                    # llama.cpp goes by its context, which it rounds up to 256: lift the switch above that
                    args += ["--original-context", "4096"]
                run = subprocess.run([exe, file, *args], stdout=subprocess.PIPE, check=True,
                                     input=np.array(s["tokens"], np.int32).tobytes())
                got = np.frombuffer(run.stdout, np.float32).reshape(-1, m["vocab"])
                rows = ref[s["first_row"]:s["first_row"] + len(s["positions"])]
                worst.append(float(np.abs(got[s["positions"]] - rows).max()) / size)
                tops += int((got.argmax(-1) != np.array(s["top1"])).sum())
            ok = max(worst) <= LIMIT and tops == 0
            bad += not ok
            print(f"{m['name']:20} {'ok ' if ok else 'BAD'} " + " ".join(f"{w:.1e}" for w in worst)
                  + f"  of range {size:.1f}; different top tokens {tops}"
                  + (f"\n{'':20}     {spec.llama_cpp_note}" if spec.llama_cpp_note else ""), flush=True)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
