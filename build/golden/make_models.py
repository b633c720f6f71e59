#!/usr/bin/env python3
"""Makes the tiny reference models and their logits (see README.md in this folder).

    python build/golden/make_models.py                    # all, into runtime/model/testdata
    python build/golden/make_models.py --only llama-gqa   # one of them, for a look: goes to --out too
    python build/golden/make_models.py --k256 DIR         # DIR/llama-k256.gguf for K-quants, never committed
"""

import argparse
import gzip
import io
import json
import zlib
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers

import gguf_out
import sequences
import vocab
import weights
from specs import K256, SPECS, Spec

TESTDATA = Path(__file__).resolve().parents[2] / "runtime" / "model" / "testdata"


def build(spec: Spec) -> torch.nn.Module:
    torch.manual_seed(0)
    cls = getattr(transformers, spec.hf)
    cfg = cls.config_class(**spec.config)
    cfg._attn_implementation = "eager"
    model = cls(cfg).to(torch.float32).eval()
    weights.fill(model, spec)
    return model


def pack(path: Path, data: bytes) -> None:
    """Writes gzip with no time stamp, so that the same content gives the same file."""
    path.write_bytes(gzip.compress(data, 9, mtime=0))


def npy(x: np.ndarray) -> bytes:
    buf = io.BytesIO()
    np.lib.format.write_array(buf, np.ascontiguousarray(x), version=(1, 0))
    return buf.getvalue()


def make(spec: Spec, out: Path) -> dict:
    model = build(spec)
    cfg = model.config
    plain = out / f"{spec.name}.gguf"
    gguf_out.write(plain, spec, model)
    window = getattr(cfg, "sliding_window", None) or 0

    rng = np.random.Generator(np.random.PCG64(zlib.crc32(spec.name.encode()) + 1))
    entries, rows, first = [], [], 0
    for length in sequences.LENGTHS:
        tokens = sequences.draw(model, rng, length, spec.original)
        full = sequences.logits_of(model, tokens)
        gap = float(sequences.gaps(full).min())
        if gap < sequences.GAP:
            raise RuntimeError(f"{spec.name}: gap {gap} in the final pass")
        at = sequences.stored_positions(length, window)
        rows.append(full[at])
        entry = dict(tokens=tokens, top1=full.argmax(-1).tolist(), positions=at, first_row=first,
                     min_gap=round(gap, 4), min=float(full.min()), max=float(full.max()))
        if spec.original:
            # the length of the sequence decides on the factors: open the model with this context
            entry["context"] = spec.original if length <= spec.original else cfg.max_position_embeddings
        first += len(at)
        entries.append(entry)

    logits = np.concatenate(rows)
    if spec.commit:
        pack(out / f"{spec.name}.gguf.gz", plain.read_bytes())
        plain.unlink()
        pack(out / f"{spec.name}.logits.npy.gz", npy(logits))
        files = dict(gguf=f"{spec.name}.gguf.gz", logits=f"{spec.name}.logits.npy.gz")
    else:
        (out / f"{spec.name}.logits.npy").write_bytes(npy(logits))
        files = dict(gguf=plain.name, logits=f"{spec.name}.logits.npy")
    lo, hi = min(e["min"] for e in entries), max(e["max"] for e in entries)
    print(f"{spec.name:20} logits {lo:7.2f} .. {hi:6.2f}  std {logits.std():.2f}  "
          f"gap {min(e['min_gap'] for e in entries):.3f}  "
          f"different tops {len({t for e in entries for t in e['top1']})}  "
          + "  ".join(f"{(out / f).stat().st_size:,}" for f in files.values()), flush=True)

    note = dict(llama_cpp_note=spec.llama_cpp_note) if spec.llama_cpp_note else {}
    return dict(
        name=spec.name, arch=spec.arch, what=spec.what, **files,
        vocab=cfg.vocab_size, hidden=cfg.hidden_size, ffn=cfg.intermediate_size, layers=cfg.num_hidden_layers,
        heads=cfg.num_attention_heads, kv_heads=cfg.num_key_value_heads, head_dim=gguf_out.head_dim(cfg),
        sliding_window=window, tied=cfg.tie_word_embeddings, exact_in_16_bits=not spec.full, **note,
        sequences=entries)


def dump(manifest: dict) -> str:
    """JSON with one line for each list of numbers."""
    text = json.dumps(manifest, indent=1)
    out, depth = [], 0
    for line in text.splitlines():
        if depth:
            out[-1] += line.strip().replace(",", ", ") if not line.strip().startswith("]") else line.strip()
        else:
            out.append(line)
        s = line.strip()
        if s.endswith(": ["):
            depth = 0 if s.startswith(('"models"', '"sequences"')) else 1
        elif depth and s.startswith("]"):
            depth = 0
    return "\n".join(line.replace(", ]", "]") for line in out) + "\n"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, default=TESTDATA)
    p.add_argument("--only", nargs="*", help="names; the manifest's other entries stay")
    p.add_argument("--k256", type=Path, metavar="DIR", help="only the K-quant model, into DIR")
    a = p.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    out, specs = (a.k256, [K256]) if a.k256 else (a.out, SPECS)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "manifest.json"
    old = {m["name"]: m for m in json.loads(path.read_text())["models"]} if a.only and path.exists() else {}
    for spec in specs:
        if not a.only or spec.name in a.only:
            old[spec.name] = make(spec, out)
    path.write_text(dump(dict(
        made_by="build/golden/make_models.py",
        versions=dict(torch=torch.__version__.split("+")[0], transformers=transformers.__version__,
                      numpy=np.__version__, gguf=_version("gguf")),
        gap=sequences.GAP,
        tokenizer=dict(text=vocab.SAMPLE, tokens=vocab.SAMPLE_TOKENS),
        models=[old[s.name] for s in specs if s.name in old])))


def _version(package: str) -> str:
    from importlib.metadata import version
    return version(package)


if __name__ == "__main__":
    main()
