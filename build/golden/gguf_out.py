"""Writes a transformers model as a GGUF file in F32, with the names and keys that llama.cpp expects."""

import math
from pathlib import Path

import gguf
import numpy as np
import torch

import vocab
from specs import Spec

ARCH = {v: k for k, v in gguf.MODEL_ARCH_NAMES.items()}


def write(path: Path, spec: Spec, model: torch.nn.Module) -> None:
    cfg = model.config
    arch = ARCH[spec.arch]
    w = gguf.GGUFWriter(None, spec.arch)
    w.add_name("tiny random model")  # no family's name: llama.cpp has rules that go by it
    w.add_file_type(gguf.LlamaFileType.ALL_F32)
    _sizes(w, spec, cfg)
    extra = _rope(w, spec, cfg)
    for key in spec.omit_keys:
        for shard in w.kv_data:
            shard.pop(key, None)
    vocab.write(w)

    names = gguf.get_tensor_name_map(arch, cfg.num_hidden_layers)
    for hf_name, x in _tensors(model).items():
        name = names.get_name(hf_name, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise ValueError(f"{spec.name}: no GGUF name for tensor {hf_name}")
        w.add_tensor(name, _convert(spec, cfg, hf_name, x))
    for name, x in extra.items():
        w.add_tensor(name, np.asarray(x, dtype=np.float32))

    w.write_header_to_file(path)
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def head_dim(cfg) -> int:
    return getattr(cfg, "head_dim", None) or cfg.hidden_size // cfg.num_attention_heads


def _tensors(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """Parameters by name; a tied output matrix appears once, as the embedding."""
    return {n: p.detach().numpy() for n, p in model.named_parameters()}


def _convert(spec: Spec, cfg, name: str, x: np.ndarray) -> np.ndarray:
    if spec.arch.startswith("gemma") and name.endswith("norm.weight"):
        return x + np.float32(1)  # the file holds the factor itself
    if spec.arch == "llama":
        # transformers rotates the halves of a head, the llama graph neighbours: interleave the rows
        for proj, heads in (("q_proj", cfg.num_attention_heads), ("k_proj", cfg.num_key_value_heads)):
            if proj in name:
                halves = x.reshape(heads, 2, head_dim(cfg) // 2, *x.shape[1:])
                return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(x.shape)
    return x


def _sizes(w: gguf.GGUFWriter, spec: Spec, cfg) -> None:
    w.add_block_count(cfg.num_hidden_layers)
    w.add_context_length(cfg.max_position_embeddings)
    w.add_embedding_length(cfg.hidden_size)
    w.add_feed_forward_length(cfg.intermediate_size)
    w.add_head_count(cfg.num_attention_heads)
    w.add_head_count_kv(cfg.num_key_value_heads)
    w.add_layer_norm_rms_eps(cfg.rms_norm_eps)
    if spec.arch == "llama":
        w.add_vocab_size(cfg.vocab_size)
    if getattr(cfg, "head_dim", None) and "head_dim" in spec.config:
        w.add_key_length(cfg.head_dim)
        w.add_value_length(cfg.head_dim)
    if spec.arch.startswith("gemma"):
        w.add_sliding_window(cfg.sliding_window)
        if cfg.attn_logit_softcapping:
            w.add_attn_logit_softcapping(cfg.attn_logit_softcapping)
        if cfg.final_logit_softcapping:
            w.add_final_logit_softcapping(cfg.final_logit_softcapping)
    if spec.arch == "phi3":
        w.add_sliding_window(0)  # written as 0 when the model has none


def _rope(w: gguf.GGUFWriter, spec: Spec, cfg) -> dict[str, np.ndarray]:
    """Writes the rope keys and returns the rope tensors."""
    rope = cfg.rope_parameters
    if "sliding_attention" in rope:
        w.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
    rope = rope.get("full_attention", rope)
    dim = int(head_dim(cfg) * rope.get("partial_rotary_factor", 1.0))
    if spec.arch in ("llama", "phi3"):
        w.add_rope_dimension_count(dim)
    if spec.arch != "gemma2":  # its files carry no base, the default of 10000 holds
        w.add_rope_freq_base(rope["rope_theta"])

    kind = rope["rope_type"]
    if kind in ("linear", "yarn"):
        w.add_rope_scaling_type(gguf.RopeScalingType(kind))
        w.add_rope_scaling_factor(rope["factor"])
    if kind == "yarn":
        w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        for key, add in (("beta_fast", w.add_rope_scaling_yarn_beta_fast),
                         ("beta_slow", w.add_rope_scaling_yarn_beta_slow),
                         ("attention_factor", w.add_rope_scaling_yarn_attn_factor)):
            if rope.get(key) is not None:
                add(rope[key])
    if kind == "llama3":
        return {"rope_freqs.weight": _llama3_factors(rope, dim)}
    if kind == "longrope":
        original = rope["original_max_position_embeddings"]
        scale = cfg.max_position_embeddings / original
        if spec.arch == "llama":  # phi3 files name no type: the two tensors say it
            w.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
        w.add_rope_scaling_orig_ctx_len(original)
        w.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(scale) / math.log(original)))
        return {"rope_factors_long.weight": rope["long_factor"], "rope_factors_short.weight": rope["short_factor"]}
    if spec.arch == "phi3":
        w.add_rope_scaling_orig_ctx_len(cfg.original_max_position_embeddings)
    return {}


def _llama3_factors(rope: dict, dim: int) -> np.ndarray:
    """Divisors of the frequencies: 1 for short waves, the factor for long ones, a blend between
    (Llama 3.1's scaling; the file stores its result)."""
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    wave = 2 * np.pi * rope["rope_theta"] ** (np.arange(0, dim, 2) / dim)
    turns = rope["original_max_position_embeddings"] / wave
    blend = np.clip((turns - low) / (high - low), 0, 1)
    return 1 / ((1 - blend) / factor + blend)
