"""Random weights that make a tiny model behave like a lively one.

The scale of each tensor follows from its fan-in, so that attention scores spread over several units,
every layer changes the residual stream, and the logits spread over ten units or more: a wrong
rotation, mask or scale then moves them far beyond the tolerance.

Values are rounded to a coarse grid. They stay exact in F16 and BF16, so the same logits serve files
converted to those types, and the compressed files stay small.
"""

import zlib

import numpy as np
import torch

from specs import Spec


def _round(x: np.ndarray, sigma: float, full: bool) -> np.ndarray:
    """Rounds to multiples of a power of two of sigma / 4 to sigma / 2, at most 127 of them; full keeps all 24 bits."""
    if full:
        return x.astype(np.float32)
    step = 2.0 ** np.ceil(np.log2(sigma / 4))
    return (np.clip(np.round(x / step), -127, 127) * step).astype(np.float32)


def _gain(name: str, tied: bool, gemma: bool) -> float:
    """Standard deviation of a matrix, in units of 1 / sqrt(fan-in)."""
    if "embed_tokens" in name:
        # scaled by sqrt(hidden) in gemma, and also the output matrix when tied
        return 1.5 if gemma else 2.5 if tied else 8.0
    if "lm_head" in name:
        return 2.5
    if any(p in name for p in ("q_proj", "k_proj", "qkv_proj", "gate_proj", "up_proj")):
        return 1.5
    return 1.25  # v_proj, o_proj, down_proj


def fill(model: torch.nn.Module, spec: Spec) -> None:
    """Sets every parameter from a generator seeded by the spec's name (NumPy's: the same on any machine)."""
    cfg = model.config
    gemma = cfg.model_type.startswith("gemma")
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(spec.name.encode())))
    for pname, p in model.named_parameters():  # a tied matrix comes once
        centre, shift, sigma = 0.0, 0.0, 0.5  # biases
        if p.ndim == 2:
            sigma = _gain(pname, cfg.tie_word_embeddings, gemma) / np.sqrt(p.shape[1])
        elif not pname.endswith("bias"):
            # Norm weights lie around 1; gemma stores them minus 1, its last one around 2 for wider logits.
            centre, shift = 1.0, 1.0 if gemma else 0.0
            if gemma and pname == "model.norm.weight":
                centre = 2.0
            elif gemma and "layers" in pname and ".post_" in pname:
                centre = spec.post_norm
            sigma = 0.25 * min(centre, 1.0)
        x = centre + sigma * rng.standard_normal(tuple(p.shape))
        with torch.no_grad():
            p.copy_(torch.from_numpy(_round(x, sigma, spec.full) - np.float32(shift)))
