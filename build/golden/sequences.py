"""Token sequences whose next token the reference knows for sure, and their logits.

At every position the two best logits lie at least GAP apart, so that "the same top token everywhere"
is a fair demand on a correct engine.
"""

import numpy as np
import torch

GAP = 0.1
LENGTHS = (17, 29, 80)  # the last one lies beyond every sliding window and every original context
CANDIDATES = 12


@torch.no_grad()
def logits_of(model: torch.nn.Module, tokens: list[int]) -> np.ndarray:
    """float32 [len(tokens), vocabulary] in one pass without a cache."""
    out = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]
    return out.numpy().astype(np.float32)


def gaps(logits: np.ndarray) -> np.ndarray:
    """Distance of the two best logits of each row."""
    best = np.partition(logits, -2, axis=-1)[..., -2:]
    return best[..., 1] - best[..., 0]


@torch.no_grad()
def draw(model: torch.nn.Module, rng: np.random.Generator, length: int, switch: int) -> list[int]:
    """Draws `length` tokens, at each position the first of a few random ones that keeps the gap.

    switch: a length where the reference changes its arithmetic for the whole sequence (long rope), 0
    for none. While drawing a sequence longer than that, the start is padded to its full length, so
    that the arithmetic is the final one from the first token on.
    """
    vocab = model.config.vocab_size
    tokens: list[int] = []
    while len(tokens) < length:
        for _ in range(20):
            cand = rng.choice(vocab, CANDIDATES, replace=False)
            batch = [tokens + [int(c)] for c in cand]
            pad = length - len(batch[0]) if switch and length > switch else 0
            ids = torch.tensor([b + [0] * pad for b in batch])
            out = model(input_ids=ids, use_cache=False).logits[:, len(tokens)].numpy()
            ok = np.flatnonzero(gaps(out) >= GAP * 1.05)
            if len(ok):
                tokens.append(int(cand[ok[0]]))
                break
        else:
            raise RuntimeError(f"no token with a gap of {GAP} at position {len(tokens)}")
    return tokens


def stored_positions(length: int, window: int) -> list[int]:
    """Positions whose logits are stored: all of a short sequence, a spread of a long one with its ends
    and the edge of the sliding window."""
    if length <= 20:
        return list(range(length))
    step = 4 if length <= 40 else 7
    keep = set(range(1, length, step)) | {0, length - 2, length - 1}
    if window:
        keep |= {p for p in (window - 1, window, window + 1) if p < length}
    return sorted(keep)
