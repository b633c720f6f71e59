#!/usr/bin/env python3
"""Writes what PyTorch makes of soft targets, for tests of distillation (see README.md in this folder).

    python build/golden/make_soft.py    # into runtime/train/step/testdata/soft.json

Logits are x·wᵀ, perhaps capped. Of a teacher's probabilities at a temperature the K largest are kept, and what they leave of
1 is one more class; the loss is F.kl_div between both, times the square of the temperature, mixed with F.cross_entropy of the
labels. Losses of all rows, and norms and products with signs of the gradients by x and w, in float64.
"""

import json

import torch
import torch.nn.functional as F

from make_gradients import OUT, grid, leaf, measure


def case(name: str, rows: int, size: int, vocab: int, k: int, temperature: float, mix: float, scale: float, cap: float = 0.0) -> dict:
    x, w = leaf(grid(1, rows, size)), leaf(grid(2, vocab, size) * scale)
    teacher = torch.softmax(grid(3, rows, vocab) * 6 / temperature, -1)
    q, ids = teacher.topk(k, -1)
    q = q.float().double()  # as they are stored
    labels = torch.arange(rows) * 5 % vocab
    z = x @ w.T
    if cap:
        z = cap * torch.tanh(z / cap)
    logp = F.log_softmax(z / temperature, -1)
    student, target = logp.gather(-1, ids), q
    if k < vocab:
        rest = logp.scatter(-1, ids, float("-inf")).logsumexp(-1, keepdim=True)
        student, target = torch.cat([student, rest], -1), torch.cat([q, 1 - q.sum(-1, keepdim=True)], -1)
    kl = F.kl_div(student, target, reduction="none").sum(-1) * temperature**2
    loss = mix * F.cross_entropy(z, labels, reduction="none") + (1 - mix) * kl
    loss.backward(grid(4, rows))
    return dict(name=name, rows=rows, size=size, vocab=vocab, k=k, temperature=temperature, mix=mix, scale=scale, cap=cap,
                ids=ids.reshape(-1).tolist(), probs=q.reshape(-1).tolist(), losses=loss.tolist(),
                x=measure(x.grad.numpy()), w=measure(w.grad.numpy()))


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    cases = [
        case("plain", 5, 12, 40, 4, 1.0, 0.0, 1.0),
        case("warm", 7, 16, 100, 8, 2.0, 0.5, 2.0),
        case("cold", 7, 16, 100, 8, 0.5, 0.25, 2.0),
        case("capped", 6, 16, 64, 16, 3.0, 0.1, 4.0, 5.0),
        case("all", 4, 8, 9, 9, 2.0, 0.5, 1.0),
        case("one", 4, 8, 33, 1, 1.5, 0.0, 1.0),
    ]
    (OUT / "soft.json").write_text(json.dumps(dict(made_by="build/golden/make_soft.py", cases=cases), indent=1) + "\n")


if __name__ == "__main__":
    main()
