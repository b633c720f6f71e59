#!/usr/bin/env python3
"""Writes which weights torch.nn.utils.prune sets to zero, for tests of ledge prune (see README.md in this folder).

    python build/golden/make_prune.py    # into runtime/compress/prune/testdata

torch.json: of the matrices in the layers of the tiny model llama-f32 the masks of l1_unstructured and
global_unstructured (L1Unstructured) for some amounts: a bit for each weight, in order, 1 for zero.
"""

import base64
import gzip
import json
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
from torch.nn.utils import prune

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "runtime" / "model" / "testdata" / "llama-f32.gguf.gz"
OUT = ROOT / "runtime" / "compress" / "prune" / "testdata"
AMOUNTS = [0.1, 1 / 3, 0.5, 0.7185]


def matrices() -> dict[str, np.ndarray]:
    with tempfile.NamedTemporaryFile(suffix=".gguf") as f:
        f.write(gzip.decompress(MODEL.read_bytes()))
        f.flush()
        return {
            t.name: np.array(t.data, np.float32)
            for t in gguf.GGUFReader(f.name).tensors
            if t.name.startswith("blk.") and len(t.shape) == 2
        }


def modules(weights: dict[str, np.ndarray]) -> dict[str, torch.nn.Linear]:
    made = {}
    for name, w in weights.items():
        m = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
        m.weight.data = torch.from_numpy(w.copy())
        made[name] = m
    return made


def masks(made: dict[str, torch.nn.Linear]) -> dict[str, str]:
    return {
        name: base64.b64encode(np.packbits(m.weight_mask.numpy().reshape(-1) == 0).tobytes()).decode()
        for name, m in made.items()
    }


def main() -> None:
    weights = matrices()
    everything = np.concatenate([w.reshape(-1) for w in weights.values()])
    for amount in AMOUNTS:
        for values in [*weights.values(), everything]:
            ordered = np.sort(np.abs(values.reshape(-1)))
            k = round(amount * len(ordered))
            if ordered[k - 1] == ordered[k]:
                raise SystemExit(f"at {amount} there are equal weights, of which torch may take any: choose another amount")
    out = []
    for amount in AMOUNTS:
        each, together = modules(weights), modules(weights)
        for m in each.values():
            prune.l1_unstructured(m, "weight", amount)
        prune.global_unstructured([(m, "weight") for m in together.values()], prune.L1Unstructured, amount=amount)
        out.append({"amount": amount, "tensor": masks(each), "global": masks(together)})
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "torch.json").write_text(json.dumps({"torch": torch.__version__, "masks": out}, indent=1) + "\n")


if __name__ == "__main__":
    main()
