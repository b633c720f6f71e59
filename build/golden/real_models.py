#!/usr/bin/env python3
"""Measures llama.cpp on the two real models: perplexities and greedy continuations, into real_models.json.

    LEDGE_TEST_LLAMA=DIR LEDGE_TEST_MODELS=DIR python build/golden/real_models.py

Each model runs twice: the file as it is, where llama.cpp rounds activations to 8 bits in a way that
depends on the CPU, and the same weights expanded to F32 (llama-quantize, into a temporary folder),
which is what the file means. An engine should lie between the two or near the second.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import numpy as np

from check_llama import compile_tool

MODELS = ["smollm2-135m-instruct-q4_1.gguf", "gemma-3-270m-q4_k_m.gguf"]
TEXTS = "/usr/share/common-licenses"  # Debian's package base-files
RUNS = [("GPL-2", 512), ("Apache-2.0", 512), ("GPL-3", 512), ("GPL-2", 256)]
PROMPTS = ["The capital of France is", "Once upon a time, there was a little", "1, 2, 3, 4, 5, 6,",
           "The quick brown fox jumps over the lazy dog. The quick brown"]
NEW = 24


class Llama:
    def __init__(self, folder: Path, tmp: Path):
        self.bin, self.logits = folder / "bin", compile_tool(folder, tmp)
        self.env = dict(os.environ, LD_LIBRARY_PATH=str(self.bin))

    def run(self, *args: object) -> subprocess.CompletedProcess:
        cmd = [str(self.bin / str(args[0])), *map(str, args[1:])]
        return subprocess.run(cmd, env=self.env, capture_output=True, check=True)

    def perplexity(self, model: Path, text: str, ctx: int) -> dict:
        r = self.run("llama-perplexity", "-m", model, "-f", f"{TEXTS}/{text}", "-c", ctx, "--chunks", 8, "-t", 2)
        out = (r.stdout + r.stderr).decode()
        ppl, err = re.search(r"PPL = ([\d.]+) \+/- ([\d.]+)", out).groups()
        return dict(ppl=float(ppl), stderr=float(err), chunks=len(re.findall(r"\[\d+\][\d.]+", out)))

    def greedy(self, model: Path, prompt: str) -> dict:
        """The continuation, and how far the chosen tokens lay ahead of the second best."""
        text = self.run("llama-simple", "-m", model, "-n", NEW, prompt).stdout.decode()
        text = text.removeprefix("<bos>").removesuffix("\n").removeprefix(prompt)
        ids = self.tokens(model, prompt + text)
        first = len(self.tokens(model, prompt))
        raw = subprocess.run([self.logits, model], input=np.array(ids, np.int32).tobytes(),
                             stdout=subprocess.PIPE, check=True).stdout
        x = np.frombuffer(raw, np.float32).reshape(len(ids), -1)[first - 1:-1]
        best = np.partition(x, -2, axis=-1)[:, -2:]
        same = bool((x.argmax(-1) == np.array(ids[first:])).all())
        return dict(text=text, min_gap=round(float((best[:, 1] - best[:, 0]).min()), 3), **({} if same else {
            "note": "in F32 cache and one pass another token wins somewhere: a near tie"}))

    def tokens(self, model: Path, text: str) -> list[int]:
        r = self.run("llama-tokenize", "-m", model, "--ids", "--log-disable", "-p", text)
        return json.loads(r.stdout)


def main() -> None:
    for var in ("LEDGE_TEST_LLAMA", "LEDGE_TEST_MODELS"):
        if var not in os.environ:
            sys.exit(f"real_models: set {var} (see README.md in this folder)")
    models = Path(os.environ["LEDGE_TEST_MODELS"])
    out = Path(__file__).with_name("real_models.json")
    names = sys.argv[1:] or MODELS
    result = json.loads(out.read_text()) if out.exists() and sys.argv[1:] else {}
    with tempfile.TemporaryDirectory() as tmp:
        llama = Llama(Path(os.environ["LEDGE_TEST_LLAMA"]).resolve(), Path(tmp))
        result.update(
            made_by="build/golden/real_models.py",
            command=f"llama-perplexity -m MODEL -f {TEXTS}/TEXT -c CTX --chunks 8 -t 2; "
                    f"llama-simple -m MODEL -n {NEW} PROMPT",
            texts={t: sha256(Path(TEXTS, t).read_bytes()).hexdigest() for t in sorted({t for t, _ in RUNS})})
        result.setdefault("models", {})
        for name in names:
            f32 = Path(tmp) / "f32.gguf"
            llama.run("llama-quantize", "--allow-requantize", models / name, f32, "F32", 2)
            m = dict(sha256=sha256((models / name).read_bytes()).hexdigest(), perplexity=[], greedy=[])
            for text, ctx in RUNS:
                a, b = llama.perplexity(models / name, text, ctx), llama.perplexity(f32, text, ctx)
                m["perplexity"].append(dict(text=text, ctx=ctx, chunks=a["chunks"], as_is=a["ppl"], f32=b["ppl"],
                                            stderr=a["stderr"]))
                print(name, m["perplexity"][-1], flush=True)
            for prompt in PROMPTS:
                m["greedy"].append(dict(prompt=prompt, n=NEW, as_is=llama.greedy(models / name, prompt),
                                        f32=llama.greedy(f32, prompt)))
                print(name, m["greedy"][-1], flush=True)
            result["models"][name] = m
            out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
            f32.unlink()


if __name__ == "__main__":
    main()
