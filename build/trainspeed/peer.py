#!/usr/bin/env python3
"""PyTorch's side of trainspeed: takes steps when asked to, and says how long each took.

    python peer.py SETTINGS.json

A line "N" on the standard input asks for N steps; the answer is a line of JSON: seconds and losses of the steps, the
processor time they took in all, the process's peak memory, and what it had before there was a model, in bytes.
"""

import contextlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM


def memory(what: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {what}")


def main() -> None:
    s = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(s["threads"])
    torch.set_num_interop_threads(1)
    before = memory("VmRSS")
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=s["vocab"], hidden_size=s["hidden"], intermediate_size=s["ffn"], num_hidden_layers=s["layers"],
        num_attention_heads=s["heads"], num_key_value_heads=s["kv_heads"], max_position_embeddings=s["context"],
        rms_norm_eps=s["norm_eps"], rope_parameters=dict(rope_type="default", rope_theta=s["rope_base"]), tie_word_embeddings=True, attention_bias=False, mlp_bias=False))
    missing = model.load_state_dict(load_file(s["weights"]), strict=False)
    if missing.missing_keys not in ([], ["lm_head.weight"]) or missing.unexpected_keys:
        raise SystemExit(f"weights: {missing}")
    model.tie_weights()
    model.train()
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [dict(params=matrices, weight_decay=s["decay"]), dict(params=others, weight_decay=0.0)],
        lr=s["rate"], betas=(s["beta1"], s["beta2"]), eps=s["adam_eps"], fused=True)
    n, length = s["batch"], s["length"]
    tokens = torch.from_numpy(np.fromfile(s["tokens"], np.int32).astype(np.int64).reshape(-1, n, length + 1))
    taken = 0

    def step() -> float:
        batch = tokens[taken % len(tokens)]
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16) if s["precision"] == "bf16" else contextlib.nullcontext():
            logits = model(input_ids=batch[:, :-1], use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits.reshape(n * length, -1), batch[:, 1:].reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), s["clip"])
        optimizer.step()
        return loss.item()

    print(json.dumps(dict(version=torch.__version__, parameters=sum(p.numel() for p in model.parameters()))), flush=True)
    for line in sys.stdin:
        seconds, losses, used = [], [], time.process_time()
        for _ in range(int(line)):
            start = time.perf_counter()
            losses.append(step())
            seconds.append(time.perf_counter() - start)
            taken += 1
        print(json.dumps(dict(seconds=seconds, losses=losses, used=time.process_time() - used, peak=memory("VmHWM"), before=before)), flush=True)


if __name__ == "__main__":
    main()
