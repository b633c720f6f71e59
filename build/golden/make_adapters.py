#!/usr/bin/env python3
"""Writes what PyTorch computes with low-rank adapters, for tests of them (see README.md in this folder).

    python build/golden/make_adapters.py    # into runtime/train/step/testdata

adapters.json.gz: some tiny models of specs.py with an adapter on every matrix, the embedding and the output matrix
included: of each the logits of its longest sequence, the mean loss of its sequences' next tokens and the gradients of
the adapters' matrices, measured as make_gradients.py measures. The adapters are added by hooks, y + scale B (A x), as
PEFT does; the models' own weights are frozen.
"""

import gzip
import json

import gguf
import numpy as np
import torch

import gguf_out
from make_gradients import MODELS, OUT, grid, measure
from make_models import build
from specs import SPECS

NAMES = ("llama-gqa", "llama-tied", "llama-bias", "qwen3", "gemma2", "phi3")
RANK, ALPHA = 4, 8.0


def adapt(spec, model) -> dict[str, torch.Tensor]:
    """Adds the adapters and gives their tensors, under GGUF's names, as leaves in GGUF's order of rows."""
    names = gguf.get_tensor_name_map(gguf_out.ARCH[spec.arch], model.config.num_hidden_layers)
    modules = [(n, m) for n, m in model.named_modules() if isinstance(m, (torch.nn.Linear, torch.nn.Embedding))]
    named = {names.get_name(n + ".weight", try_suffixes=(".weight",)) or "output.weight": (n, m) for n, m in modules}
    tensors: dict[str, torch.Tensor] = {}
    for i, name in enumerate(sorted(named)):
        hf_name, module = named[name]
        rows, cols = module.weight.shape
        turned = isinstance(module, torch.nn.Embedding)
        a = (grid(1000 + 2 * i, *((rows, RANK) if turned else (RANK, cols))) / 4).requires_grad_(True)
        b = (grid(1001 + 2 * i, *((cols, RANK) if turned else (rows, RANK))) / 16).requires_grad_(True)
        tensors[name + ".lora_a"], tensors[name + ".lora_b"] = a, b
        # Row r of the file is row order[r] of the module.
        order = torch.arange(cols if turned else rows)
        if not turned:
            order = torch.from_numpy(gguf_out._convert(spec, model.config, hf_name + ".weight", order.numpy().reshape(-1, 1).copy()).reshape(-1))
        back = torch.argsort(order)
        scale = ALPHA / RANK

        def embed(mod, args, y, a=a, b=b):
            return y + scale * (a[args[0]] @ b.T) * float(getattr(mod, "scalar_embed_scale", 1.0))

        def linear(mod, args, y, a=a, b=b, back=back):
            return y + scale * (args[0] @ a.T @ b[back].T)

        module.register_forward_hook(embed if turned else linear)
    return tensors


def case(spec, entry: dict) -> dict:
    model = build(spec).double()
    for p in model.parameters():
        p.requires_grad_(False)
    tensors = adapt(spec, model)
    sequences = [s["tokens"] for s in entry["sequences"]]
    total = sum(len(s) - 1 for s in sequences)
    loss, logits = 0.0, None
    for s in sequences:
        ids = torch.tensor([s])
        full = model(input_ids=ids, use_cache=False).logits[0]
        part = torch.nn.functional.cross_entropy(full[:-1], ids[0, 1:], reduction="sum") / total
        part.backward()
        loss += part.item()
        if len(s) == max(len(t) for t in sequences):
            logits = full
    return dict(name=spec.name, rank=RANK, alpha=ALPHA, lengths=[len(s) for s in sequences], loss=loss,
                logits=measure(logits.detach().numpy()),
                tensors={n: dict(shape=list(t.shape), gradient=measure(t.grad.numpy())) for n, t in tensors.items()})


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    manifest = {m["name"]: m for m in json.loads(MODELS.read_text())["models"]}
    cases = []
    for spec in SPECS:
        if spec.name in NAMES:
            cases.append(case(spec, manifest[spec.name]))
            print(spec.name, f"{cases[-1]['loss']:.6f}", flush=True)
    text = json.dumps(dict(made_by="build/golden/make_adapters.py", models=cases), separators=(",", ":"))
    (OUT / "adapters.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
