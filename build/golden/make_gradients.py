#!/usr/bin/env python3
"""Writes what PyTorch's gradients are, for tests of training (see README.md in this folder).

    python build/golden/make_gradients.py    # into runtime/train/step/testdata

gradients.json.gz: of each tiny model of specs.py the mean loss of its sequences' next tokens, and of each parameter's
gradient the norm and its products with vectors of +1 and -1, which are the same on both sides. attention.json: the same
of scaled_dot_product_attention and nn.MultiheadAttention. Nothing but torch and transformers computes here.
"""

import gzip
import json
from pathlib import Path

import gguf
import numpy as np
import torch

import gguf_out
from make_models import build
from specs import SPECS

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "runtime" / "model" / "testdata" / "manifest.json"
OUT = ROOT / "runtime" / "train" / "step" / "testdata"
PRODUCTS = 4


def mix(z: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser."""
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def stream(seed: int, n: int) -> np.ndarray:
    """Value i of the stream of a seed."""
    with np.errstate(over="ignore"):
        return mix(mix(np.uint64(seed) + np.zeros(n, np.uint64)) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def grid(seed: int, *shape: int) -> torch.Tensor:
    """Values from -1 to 1 that float32 holds exactly."""
    n = int(np.prod(shape))
    x = ((stream(seed, n) >> np.uint64(40)).astype(np.float64) - 2.0**23) / 2.0**23
    return torch.from_numpy(x.reshape(shape))


def measure(x: np.ndarray) -> list[float]:
    """The norm, and products with vectors whose signs are the lowest bits of streams."""
    x = np.asarray(x, np.float64).reshape(-1)
    signs = [1 - 2 * (stream(k, x.size) & np.uint64(1)).astype(np.float64) for k in range(PRODUCTS)]
    return [float(f"{v:.9g}") for v in [np.linalg.norm(x), *(x @ s for s in signs)]]


def model_gradients(spec, entry: dict) -> list[dict]:
    model = build(spec).double()
    arch = gguf_out.ARCH[spec.arch]
    names = gguf.get_tensor_name_map(arch, model.config.num_hidden_layers)
    groups: dict[int, list[list[int]]] = {}
    for s in entry["sequences"]:
        groups.setdefault(s.get("context", 0), []).append(s["tokens"])
    out = []
    for context, sequences in groups.items():
        model.zero_grad()
        total = sum(len(s) - 1 for s in sequences)
        loss = 0.0
        for s in sequences:
            ids = torch.tensor([s])
            logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
            part = torch.nn.functional.cross_entropy(logits.double(), ids[0, 1:], reduction="sum") / total
            part.backward()
            loss += part.item()
        gradients = {}
        for name, p in model.named_parameters():
            g = p.grad.numpy()
            if spec.arch == "llama":  # rows are in another order there
                g = gguf_out._convert(spec, model.config, name, g)
            gradients[names.get_name(name, try_suffixes=(".weight", ".bias"))] = measure(g)
        out.append(dict(context=context, lengths=[len(s) for s in sequences], loss=loss, gradients=gradients))
    return out


def leaf(x: torch.Tensor) -> torch.Tensor:
    return x.clone().requires_grad_(True)


def attention_case(name: str, rows: int, heads: int, groups: int, key: int, value: int, causal: bool) -> dict:
    """scaled_dot_product_attention of one sequence."""
    q, k, v = leaf(grid(1, rows, heads, key)), leaf(grid(2, rows, groups, key)), leaf(grid(3, rows, groups, value))
    y = torch.nn.functional.scaled_dot_product_attention(
        q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1), is_causal=causal, enable_gqa=heads != groups).transpose(0, 1)
    y.backward(grid(4, rows, heads, value))
    return dict(name=name, rows=rows, heads=heads, groups=groups, key=key, value=value, causal=causal,
                y=measure(y.detach().numpy()), q=measure(q.grad.numpy()), k=measure(k.grad.numpy()), v=measure(v.grad.numpy()))


def multihead_case(name: str, rows: int, size: int, heads: int, causal: bool) -> dict:
    """nn.MultiheadAttention of one sequence with itself."""
    m = torch.nn.MultiheadAttention(size, heads, bias=True, batch_first=True, dtype=torch.float64)
    seeds = dict(in_proj_weight=11, in_proj_bias=12, **{"out_proj.weight": 13, "out_proj.bias": 14})
    with torch.no_grad():
        for n, p in m.named_parameters():
            p.copy_(grid(seeds[n], *p.shape))
    x = leaf(grid(1, rows, size))
    mask = torch.nn.Transformer.generate_square_subsequent_mask(rows, dtype=torch.float64) if causal else None
    y, _ = m(x[None], x[None], x[None], attn_mask=mask, need_weights=False, is_causal=causal)
    y.backward(grid(4, 1, rows, size))
    return dict(name=name, rows=rows, size=size, heads=heads, causal=causal, y=measure(y.detach().numpy()), x=measure(x.grad.numpy()),
                gradients={n: measure(p.grad.numpy()) for n, p in m.named_parameters()})


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    OUT.mkdir(parents=True, exist_ok=True)
    manifest = {m["name"]: m for m in json.loads(MODELS.read_text())["models"]}
    models = []
    for spec in SPECS:
        if spec.name in manifest:
            for g in model_gradients(spec, manifest[spec.name]):
                models.append(dict(name=spec.name, **g))
            print(spec.name, f"{models[-1]['loss']:.6f}", flush=True)
    text = json.dumps(dict(made_by="build/golden/make_gradients.py", models=models), separators=(",", ":"))
    (OUT / "gradients.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    cases = dict(
        made_by="build/golden/make_gradients.py",
        attention=[
            attention_case("one", 1, 1, 1, 4, 4, True),
            attention_case("causal", 13, 4, 4, 8, 8, True),
            attention_case("bidirectional", 13, 4, 4, 8, 8, False),
            attention_case("grouped", 100, 6, 2, 16, 16, True),
            attention_case("odd", 129, 3, 1, 33, 17, True),
        ],
        multihead=[
            multihead_case("bidirectional", 9, 12, 3, False),
            multihead_case("causal", 101, 40, 5, True),
        ])
    (OUT / "attention.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
