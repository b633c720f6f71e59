#!/usr/bin/env python3
"""Writes goldens.json: what each sampling stage keeps, and with which probability.

An independent NumPy implementation in float64, from the published formulas:
  top-p        Holtzman et al., The Curious Case of Neural Text Degeneration, 2020
  typical      Meister et al., Locally Typical Sampling, 2023
  min-p        Nguyen et al., Turning Up the Heat: Min-p Sampling, 2024
  top-n-sigma  Tang et al., Top-n-sigma: Not All Logits Are You Need, 2024
  repetition   Keskar et al., CTRL, 2019 (negative logits multiplied instead)
  frequency, presence   the OpenAI API's definition
  DRY          p-e-w, oobabooga/text-generation-webui pull request 5677
  XTC          p-e-w, oobabooga/text-generation-webui pull request 6335

Usage: python3 make_goldens.py [goldens.json]      needs numpy
"""

import base64
import json
import os
import sys

import numpy as np

ORDER = ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"]
OFF = {
    "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "top_n_sigma": 0.0,
    "xtc": {"probability": 0.0, "threshold": 0.1},
    "repeat_penalty": 1.0, "repeat_last_n": 64, "frequency_penalty": 0.0, "presence_penalty": 0.0,
    "dry": {"multiplier": 0.0, "base": 1.75, "allowed_length": 2, "penalty_last_n": 64, "sequence_breakers": []},
}
NEAR = 1e-5  # a case whose cut lies nearer than this to another outcome is refused


def clear(a, b):
    if abs(a - b) < NEAR:
        raise ValueError(f"a cut is too close to call: {a} and {b}")


def softmax(l):
    e = np.exp(l - l.max())
    return e / e.sum()


def penalties(p, hist, ids, l):
    n = p["repeat_last_n"]
    window = hist if n < 0 else hist[max(0, len(hist) - n):]
    l = l.copy()
    for i, t in enumerate(ids):
        count = window.count(int(t))
        if count:
            l[i] = l[i] * p["repeat_penalty"] if l[i] <= 0 else l[i] / p["repeat_penalty"]
            l[i] -= count * p["frequency_penalty"] + p["presence_penalty"]
    return l


def dry(d, hist, breakers, ids, l):
    n = d["penalty_last_n"]
    x = hist if n < 0 else hist[max(0, len(hist) - n):]
    if d["multiplier"] == 0 or not x or x[-1] in breakers:
        return l
    longest = {}
    for i in range(len(x) - 1):
        if x[i] != x[-1] or x[i + 1] in breakers:
            continue
        m = 1  # x[i] is the last token; extend backwards up to a breaker
        while m <= i and x[i - m] == x[-1 - m] and x[i - m] not in breakers:
            m += 1
        longest[x[i + 1]] = max(longest.get(x[i + 1], 0), m)
    l = l.copy()
    for i, t in enumerate(ids):
        m = longest.get(int(t), 0)
        if m >= d["allowed_length"]:
            l[i] -= d["multiplier"] * d["base"] ** (m - d["allowed_length"])
    return l


def reach(order, probs, mass):
    """The shortest prefix of order whose probabilities reach mass."""
    cum = np.cumsum(probs[order])
    n = int(np.searchsorted(cum, mass)) + 1
    if n <= len(order):
        clear(cum[n - 1], mass)
        if n > 1:
            clear(cum[n - 2], mass)
    return order[:n]


def apply(case, row):
    p, hist = case["params"], case["history"]
    ids, l = np.arange(len(row)), row.astype(np.float64)
    for t, b in p.get("logit_bias", {}).items():
        l[int(t)] += b
    for stage in p.get("samplers", ORDER):
        keep = np.arange(len(ids))
        if stage == "penalties":
            l = penalties(p, hist, ids, l)
        elif stage == "dry":
            l = dry(p["dry"], hist, set(case["breakers"]), ids, l)
        elif stage == "temperature":
            l = l / p["temperature"]
        elif stage == "top_n_sigma" and p["top_n_sigma"] > 0:
            keep = np.flatnonzero(l >= l.max() - p["top_n_sigma"] * l.std())
        elif stage == "top_k" and p["top_k"] > 0:
            keep = np.lexsort((ids, -l))[:p["top_k"]]
        elif stage == "typ_p" and p["typical_p"] < 1:
            q = softmax(l)
            dist = np.abs(-np.log(q) + np.sum(q * np.log(q)))
            order = np.lexsort((ids, dist))
            keep = reach(order, q, p["typical_p"])
            if len(keep) < len(order):
                clear(dist[order[len(keep) - 1]], dist[order[len(keep)]])
        elif stage == "top_p" and p["top_p"] < 1:
            keep = reach(np.lexsort((ids, -l)), softmax(l), p["top_p"])
        elif stage == "min_p" and p["min_p"] > 0:
            q = softmax(l)
            keep = np.flatnonzero(q >= p["min_p"] * q.max())
        elif stage == "xtc" and p["xtc"]["probability"] > 0:
            q = softmax(l)
            above = np.flatnonzero(q >= p["xtc"]["threshold"])
            if len(above) > 1:
                least = above[np.lexsort((-ids[above], l[above]))[0]]
                keep = np.setdiff1d(keep, np.setdiff1d(above, [least]))
        ids, l = ids[keep], l[keep]
    q = softmax(l)
    order = np.lexsort((ids, -l))
    return ids[order], q[order]


def main():
    rng = np.random.default_rng(20240601)
    rows = {
        "peaked": rng.normal(0, 4, 384),
        "flat": rng.normal(0, 1, 256),
        "real": 14 - 2.2 * np.log(np.arange(1, 513)) + rng.normal(0, 1.2, 512),  # roughly Zipf
        "ties": np.round(rng.normal(0, 3, 256)),
        "tiny": rng.normal(0, 2, 5),
    }
    rng.shuffle(rows["real"])
    rows = {k: v.astype(np.float32) for k, v in rows.items()}
    hist = [int(t) for t in rng.integers(0, 5, 90)]  # repeats a lot
    loop = [7, 8, 9, 10, 11, 7, 8, 9, 10, 12, 9, 10, 3, 7, 8, 9, 10]
    d = OFF["dry"]
    settings = [
        {}, {"temperature": 0.5}, {"temperature": 1.7},
        {"top_k": 1}, {"top_k": 40}, {"top_k": 1000},
        {"top_p": 0.3}, {"top_p": 0.9}, {"top_p": 0.0},
        {"min_p": 0.05}, {"min_p": 0.3}, {"min_p": 1.0},
        {"typical_p": 0.2}, {"typical_p": 0.7}, {"typical_p": 0.0},
        {"top_n_sigma": 1.0}, {"top_n_sigma": 2.5},
        {"xtc": {"probability": 1.0, "threshold": 0.05}}, {"xtc": {"probability": 1.0, "threshold": 0.2}},
        {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "temperature": 0.8},
        {"temperature": 0.7, "top_p": 0.8, "min_p": 0.02,
         "samplers": ["temperature", "top_p", "min_p"]},
        {"repeat_penalty": 1.3, "top_k": 20}, {"repeat_penalty": 0.8, "repeat_last_n": 3, "top_k": 20},
        {"frequency_penalty": 0.4, "presence_penalty": 0.7, "repeat_last_n": -1, "top_k": 20},
        {"repeat_penalty": 1.2, "frequency_penalty": -0.3, "top_p": 0.9},
        {"temperature": 0.5, "repeat_penalty": 1.5, "top_k": 12,
         "samplers": ["temperature", "top_k", "penalties"]},
        {"dry": {**d, "multiplier": 0.8}, "top_k": 20},
        {"dry": {**d, "multiplier": 0.5, "base": 1.3, "allowed_length": 1, "penalty_last_n": -1}, "top_k": 20},
        {"dry": {**d, "multiplier": 2.0, "allowed_length": 4, "penalty_last_n": 12}, "top_k": 20},
        {"logit_bias": {"0": 3.5, "4": -2.25, "2": 100.0}, "top_k": 8},
        {"repeat_penalty": 1.1, "frequency_penalty": 0.05, "presence_penalty": 0.1,
         "dry": {**d, "multiplier": 0.8}, "top_n_sigma": 2.0, "top_k": 30, "typical_p": 0.95, "top_p": 0.9,
         "min_p": 0.02, "xtc": {"probability": 1.0, "threshold": 0.15}, "temperature": 1.3},
    ]
    out, refused = [], 0
    for s in settings:
        p = {**OFF, **s}
        historic = "dry" in s or "penalty" in " ".join(s)
        for name, row in rows.items():
            for h, breakers in [(hist, [3]), (loop, []), (loop, [9])] if historic else [([], [])]:
                h, breakers = [t % len(row) for t in h], [t % len(row) for t in breakers]
                case = {"row": name, "params": p, "history": h, "breakers": breakers}
                if name == "ties" and {"typical_p", "xtc"} & set(s):
                    continue  # which of two equal tokens goes is not defined there
                try:
                    ids, q = apply(case, row)
                except ValueError:
                    refused += 1
                    continue
                n = min(len(ids), 24)  # the count is checked too, and the rest by its sum
                out.append({"row": name, "params": s, "history": h, "breakers": breakers, "kept": len(ids),
                            "ids": ids[:n].tolist(), "probs": [float(f"{v:.7g}") for v in q[:n]],
                            "id_sum": int(ids.sum())})
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "goldens.json")
    with open(path, "w") as f:
        f.write('{"off":' + json.dumps(OFF, separators=(",", ":")) + ',\n"rows":{\n')
        f.write(",\n".join(f'"{k}":"{base64.b64encode(v.tobytes()).decode()}"' for k, v in rows.items()))
        f.write('},\n"cases":[\n')
        f.write(",\n".join(json.dumps(c, separators=(",", ":")) for c in out))
        f.write("]}\n")
    print(f"{len(out)} cases, {refused} too close to call, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
