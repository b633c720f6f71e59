"""The tiny models: one Spec for each architecture and variant worth a test.

A Spec is a transformers configuration plus what the GGUF file and the check against llama.cpp need to
know. All sizes are small and some are odd on purpose: a vocabulary of 263 (prime), rows that are no
multiple of a vector, three key/value heads.
"""

from dataclasses import dataclass, field
from math import log
from typing import Any

from vocab import SIZE as VOCAB

MAX_POSITION = 128  # context length written in every file
BIG_EPS = 0.03  # in some models: large enough to show whether the file's value is used


@dataclass
class Spec:
    name: str
    what: str  # one line for the manifest
    arch: str  # general.architecture of the GGUF file
    hf: str  # model class in transformers
    config: dict[str, Any]
    full: bool = False  # weights of all 24 bits instead of a coarse grid (see weights.py)
    post_norm: float = 1.0  # centre of gemma's post-norm weights: small in deep models, or noise grows layer by layer
    omit_keys: tuple[str, ...] = ()  # metadata keys that older files of this kind lack
    # long-context switch: sequences of at most `original` tokens use the short factors
    original: int = 0
    # llama.cpp needs these to follow the configuration (it does not read them from the file)
    llama_cpp_args: list[str] = field(default_factory=list)
    llama_cpp_note: str = ""
    commit: bool = True


def _base(**kw: Any) -> dict[str, Any]:
    cfg = dict(
        vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=MAX_POSITION,
        rms_norm_eps=1e-5, tie_word_embeddings=False,
        bos_token_id=VOCAB - 2, eos_token_id=VOCAB - 1, pad_token_id=None,
    )
    cfg.update(kw)
    return cfg


def _rope(kind: str = "default", theta: float = 10000.0, **kw: Any) -> dict[str, Any]:
    return dict(rope_type=kind, rope_theta=theta, **kw)


def _factors(n: int, first: float, last: float) -> list[float]:
    """n long-rope factors rising from first to last, exact in float32."""
    return [round((first + (last - first) * i / (n - 1)) * 64) / 64 for i in range(n)]


LLAMA = [
    Spec("llama-gqa", "grouped-query attention, untied output",
         "llama", "LlamaForCausalLM", _base(rope_parameters=_rope())),
    Spec("llama-f32", "weights of full float32 precision, hidden 32, one key/value head of two, tied",
         "llama", "LlamaForCausalLM",
         _base(hidden_size=32, num_attention_heads=2, num_key_value_heads=1, intermediate_size=48,
               tie_word_embeddings=True, rope_parameters=_rope()), full=True),
    Spec("llama-tied", "multi-head attention, tied embeddings, rope base 500000",
         "llama", "LlamaForCausalLM",
         _base(num_key_value_heads=4, intermediate_size=112, tie_word_embeddings=True,
               rope_parameters=_rope(theta=500000.0))),
    Spec("llama-bias", "biases in attention and feed-forward, one key/value head",
         "llama", "LlamaForCausalLM",
         _base(num_key_value_heads=1, attention_bias=True, mlp_bias=True, rope_parameters=_rope())),
    Spec("llama-kv3", "odd sizes: hidden 72, 6 heads of 12 over 3 key/value heads, ffn 100",
         "llama", "LlamaForCausalLM",
         _base(hidden_size=72, num_attention_heads=6, num_key_value_heads=3, intermediate_size=100,
               rms_norm_eps=BIG_EPS, rope_parameters=_rope())),
    Spec("mistral-headdim", "Mistral: head size 24, not hidden / heads; no sliding window",
         "llama", "MistralForCausalLM",
         _base(head_dim=24, sliding_window=None, rope_parameters=_rope(theta=1000000.0))),
    Spec("llama-rope-linear", "linear rope scaling, factor 2.5",
         "llama", "LlamaForCausalLM",
         _base(tie_word_embeddings=True, rope_parameters=_rope("linear", factor=2.5))),
    Spec("llama-rope-llama3", "llama 3.1 rope scaling (rope_freqs tensor), tied",
         "llama", "LlamaForCausalLM",
         _base(tie_word_embeddings=True,
               rope_parameters=_rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                     original_max_position_embeddings=32))),
    Spec("llama-rope-yarn", "yarn rope scaling with the default ramp, sequences beyond the original context",
         "llama", "LlamaForCausalLM",
         _base(tie_word_embeddings=True,
               rope_parameters=_rope("yarn", theta=500.0, factor=4.0, original_max_position_embeddings=32))),
    Spec("llama-rope-longrope", "long rope: short and long factors, switched at 32 positions",
         "llama", "LlamaForCausalLM",
         _base(tie_word_embeddings=True,
               rope_parameters=_rope("longrope", original_max_position_embeddings=32,
                                     short_factor=_factors(8, 1.0, 1.5), long_factor=_factors(8, 1.25, 6.0))),
         original=32),
]

QWEN = [
    Spec("qwen2", "biases on q, k, v; untied output",
         "qwen2", "Qwen2ForCausalLM",
         _base(rms_norm_eps=BIG_EPS, use_sliding_window=False, rope_parameters=_rope(theta=1000000.0))),
    Spec("qwen2-yarn", "yarn with its own ramp (beta_fast 2, beta_slow 0.25) and attention factor, tied",
         "qwen2", "Qwen2ForCausalLM",
         _base(rms_norm_eps=1e-6, use_sliding_window=False, tie_word_embeddings=True,
               rope_parameters=_rope("yarn", theta=500.0, factor=4.0, original_max_position_embeddings=32,
                                     beta_fast=2.0, beta_slow=0.25, attention_factor=1.25)),
         llama_cpp_args=["--yarn-beta-fast", "2", "--yarn-beta-slow", "0.25",
                         "--rope-attn-factor", str(1.25 / (1 + 0.1 * log(4)))],
         llama_cpp_note="llama.cpp does not read yarn_beta_fast, yarn_beta_slow and yarn_attn_factor from a qwen2 "
                        "or llama file: the check passes them in by hand"),
    Spec("qwen3", "QK-norm, head size 32 of hidden 64 / 4, tied",
         "qwen3", "Qwen3ForCausalLM",
         _base(rms_norm_eps=BIG_EPS, head_dim=32, tie_word_embeddings=True, use_sliding_window=False,
               rope_parameters=_rope(theta=1000000.0))),
    Spec("qwen3-mqa", "QK-norm, odd sizes: hidden 80, 5 heads over 1, ffn 98; untied",
         "qwen3", "Qwen3ForCausalLM",
         _base(rms_norm_eps=1e-6, hidden_size=80, num_attention_heads=5, num_key_value_heads=1, head_dim=16,
               intermediate_size=98, use_sliding_window=False, rope_parameters=_rope(theta=1000000.0))),
]

GEMMA = [
    Spec("gemma2", "window 16 in every second layer, both soft caps, post norms, GeGLU, head size 24",
         "gemma2", "Gemma2ForCausalLM",
         _base(rms_norm_eps=BIG_EPS, head_dim=24, query_pre_attn_scalar=24, num_hidden_layers=4, intermediate_size=80,
               hidden_size=48, tie_word_embeddings=True, sliding_window=16, attn_logit_softcapping=4.0,
               final_logit_softcapping=15.0, rope_parameters=_rope())),
    Spec("gemma2-27b", "46 layers: the 27B scales queries by (hidden / heads)^-0.5, not by the head size",
         "gemma2", "Gemma2ForCausalLM",
         _base(rms_norm_eps=1e-6, hidden_size=16, num_attention_heads=2, num_key_value_heads=1, head_dim=12,
               query_pre_attn_scalar=8, num_hidden_layers=46, intermediate_size=24, tie_word_embeddings=True,
               sliding_window=32, attn_logit_softcapping=4.0, final_logit_softcapping=15.0,
               rope_parameters=_rope()), post_norm=0.25),
    Spec("gemma3", "QK-norm, five layers with window 16 and rope base 10000, one global with base 1000000 / factor 4",
         "gemma3", "Gemma3ForCausalLM",
         _base(rms_norm_eps=BIG_EPS, hidden_size=48, num_attention_heads=3, num_key_value_heads=1, head_dim=20,
               query_pre_attn_scalar=20, num_hidden_layers=7, intermediate_size=56, tie_word_embeddings=True,
               sliding_window=16,
               rope_parameters=dict(sliding_attention=_rope(),
                                    full_attention=_rope("linear", theta=1000000.0, factor=4.0)))),
    Spec("gemma3-27b", "62 layers: queries scaled by (hidden / heads)^-0.5; a file without rope.freq_base_swa",
         "gemma3", "Gemma3ForCausalLM",
         _base(rms_norm_eps=1e-6, hidden_size=16, num_attention_heads=2, num_key_value_heads=1, head_dim=12,
               query_pre_attn_scalar=8, num_hidden_layers=62, intermediate_size=16, tie_word_embeddings=True,
               sliding_window=24,
               rope_parameters=dict(sliding_attention=_rope(),
                                    full_attention=_rope("linear", theta=1000000.0, factor=8.0))),
         post_norm=0.15, omit_keys=("gemma3.rope.freq_base_swa",)),
]

PHI = [
    Spec("phi3", "fused qkv and gate/up, half of each head rotated, multi-head, no sliding window",
         "phi3", "Phi3ForCausalLM",
         _base(rms_norm_eps=BIG_EPS, num_key_value_heads=4, sliding_window=None,
               original_max_position_embeddings=MAX_POSITION,
               rope_parameters=_rope(partial_rotary_factor=0.5))),
    Spec("phi3-longrope", "three quarters of each head rotated, long and short factors switched at 32, tied",
         "phi3", "Phi3ForCausalLM",
         _base(sliding_window=None, original_max_position_embeddings=32, tie_word_embeddings=True,
               rope_parameters=_rope("longrope", partial_rotary_factor=0.75,
                                     short_factor=_factors(6, 1.0, 1.75), long_factor=_factors(6, 1.5, 8.0))),
         original=32),
]

# Not committed: rows that are multiples of 256, for quantisation into K-quants (make_models.py --k256).
K256 = Spec("llama-k256", "rows of 256 and 512 for K-quants", "llama", "LlamaForCausalLM",
            _base(hidden_size=256, intermediate_size=512, num_attention_heads=4, num_key_value_heads=4,
                  rope_parameters=_rope()), full=True, commit=False)

SPECS = LLAMA + QWEN + GEMMA + PHI
