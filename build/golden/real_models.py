#!/usr/bin/env python3
"""Measures llama.cpp on the two real models: perplexities and greedy continuations, into real_models.json.

    LEDGE_TEST_LLAMA=DIR LEDGE_TEST_MODELS=DIR python build/golden/real_models.py

Each model runs twice: the file as it is, where llama.cpp rounds activations to 8 bits in a way that
depends on the CPU, and the same weights expanded to F32 (llama-quantize, into a temporary folder),
which is what the file means. An engine should lie between the two or near the second. What
real_models.json already holds is not measured again: delete it to start afresh.
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
           "The quick brown fox jumps over the lazy dog. The quick brown",
           "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday, Monday, Tuesday,",
           "Every work, every page, every line. Every work, every page, every line. Every work, every"]
NEW = 24


class Llama:
    def __init__(self, folder: Path, tmp: Path):
        self.bin, self.logits = folder / "bin", compile_tool(folder, tmp)
        self.env = dict(os.environ, LD_LIBRARY_PATH=str(self.bin))

    def run(self, *args: object) -> subprocess.CompletedProcess:
        cmd = [str(self.bin / str(args[0])), *map(str, args[1:])]
        return subprocess.run(cmd, env=self.env, capture_output=True, check=True)

    def perplexity(self, model: Path, text: str, ctx: int) -> dict:
        r = self.run("llama-perplexity", "-m", model, "-f", f"{TEXTS}/{text}", "-c", ctx, "--chunks", 8, "-t", 1)
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


def measure(llama: Llama, name: str, as_is: Path, f32: Path, m: dict, save) -> None:
    """Fills in what m lacks, saving after each step."""
    for prompt in PROMPTS:
        for kind, file in (("as_is", as_is), ("f32", f32)):
            if kind not in m["greedy"].setdefault(prompt, {}):
                m["greedy"][prompt][kind] = llama.greedy(file, prompt)
                print(name, prompt, kind, m["greedy"][prompt][kind], flush=True)
                save()
    for text, ctx in RUNS:
        for kind, file in (("as_is", as_is), ("f32", f32)):
            key = f"{text} -c {ctx}"
            if kind not in m["perplexity"].setdefault(key, {}):
                m["perplexity"][key][kind] = llama.perplexity(file, text, ctx)
                print(name, key, kind, m["perplexity"][key][kind], flush=True)
                save()


def main() -> None:
    for var in ("LEDGE_TEST_LLAMA", "LEDGE_TEST_MODELS"):
        if var not in os.environ:
            sys.exit(f"real_models: set {var} (see README.md in this folder)")
    models = Path(os.environ["LEDGE_TEST_MODELS"])
    out = Path(__file__).with_name("real_models.json")
    result = json.loads(out.read_text()) if out.exists() else {}

    def save() -> None:
        out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")

    with tempfile.TemporaryDirectory() as tmp:
        llama = Llama(Path(os.environ["LEDGE_TEST_LLAMA"]).resolve(), Path(tmp))
        result.update(
            made_by="build/golden/real_models.py",
            command=f"llama-perplexity -m MODEL -f {TEXTS}/TEXT -c CTX --chunks 8 -t 1; "
                    f"llama-simple -m MODEL -n {NEW} PROMPT",
            texts={t: sha256(Path(TEXTS, t).read_bytes()).hexdigest() for t in sorted({t for t, _ in RUNS})})
        for name in MODELS:
            f32 = Path(tmp) / "f32.gguf"
            llama.run("llama-quantize", "--allow-requantize", models / name, f32, "F32", 1)
            m = result.setdefault("models", {}).setdefault(name, dict(
                sha256=sha256((models / name).read_bytes()).hexdigest(), perplexity={}, greedy={}))
            measure(llama, name, models / name, f32, m, save)
            f32.unlink()


if __name__ == "__main__":
    main()
