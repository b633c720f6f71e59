#!/usr/bin/env python3
"""Trains byte-level BPE vocabularies with Hugging Face's tokenizers and writes what they are and what they make of a
held-out text, as one JSON object on standard output.

    pip install tokenizers==0.23.3
    python3 testdata/make_goldens.py > testdata/goldens.json        # the goldens
    python3 testdata/make_goldens.py CORPUS HELDOUT SIZE MIN PRESET # one of them, for a comparison
    python3 testdata/make_goldens.py --time CORPUS SIZE MIN PRESET  # seconds of training alone
"""

import json
import os
import sys
import time

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL
QWEN2 = SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL


def pre_tokenizer(name):
    def split(expression):
        return pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(expression), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return {"gpt2": lambda: gpt2, "llama3": lambda: split(LLAMA3), "qwen2": lambda: split(QWEN2),
            "smollm": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2])}[name]()


def train(corpus, size, least, preset):
    t = Tokenizer(models.BPE(ignore_merges=preset in ("llama3", "qwen2")))
    t.pre_tokenizer = pre_tokenizer(preset)
    t.decoder = decoders.ByteLevel()
    t.train([corpus], trainers.BpeTrainer(
        vocab_size=size, min_frequency=least, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[AddedToken(s, special=True, normalized=False) for s in SPECIAL]))
    return t


def lines(path):
    with open(path, encoding="utf-8", newline="") as f:
        return f.read().splitlines(keepends=True)


def describe(t, heldout):
    model = json.loads(t.to_str())["model"]
    tokens = [s for s, _ in sorted(model["vocab"].items(), key=lambda e: e[1])]
    return {"tokens": tokens, "merges": [m if isinstance(m, list) else m.split(" ") for m in model["merges"]],
            "ids": [t.encode(s).ids for s in heldout]}


def main(args):
    if args[:1] == ["--time"]:
        start = time.perf_counter()
        t = train(args[1], int(args[2]), int(args[3]), args[4])
        print(json.dumps({"seconds": time.perf_counter() - start, "tokens": t.get_vocab_size()}))
        return
    if args:
        corpus, heldout, size, least, preset = args
        json.dump(describe(train(corpus, int(size), int(least), preset), lines(heldout)), sys.stdout)
        return
    corpus, heldout = (os.path.join(HERE, f) for f in ("corpus.txt", "heldout.txt"))
    cases = []
    for preset, size, least in [("gpt2", 600, 2), ("llama3", 700, 1), ("qwen2", 2000, 2), ("smollm", 5000, 1)]:
        cases.append({"preset": preset, "size": size, "min": least, **describe(train(corpus, size, least, preset), lines(heldout))})
    json.dump({"special": SPECIAL, "cases": cases}, sys.stdout, ensure_ascii=False)


main(sys.argv[1:])
