#!/usr/bin/env python3
"""Metrics of made-up predictions by scikit-learn, as a golden for runtime/eval.

usage: metrics.py [CASES.json] > runtime/eval/testdata/metrics.json
With CASES.json (a list of {"is", "predicted", "labels"}) those are computed.
"""
import json
import random
import sys
import warnings

from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

warnings.filterwarnings("ignore")


def case(is_, predicted, labels=None):
    def average(kind):
        p, r, f, _ = precision_recall_fscore_support(is_, predicted, labels=labels, average=kind, zero_division=0)
        return {"precision": float(p), "recall": float(r), "f1": float(f)}

    p, r, f, s = precision_recall_fscore_support(is_, predicted, labels=labels, average=None, zero_division=0)
    names = labels if labels is not None else sorted(set(is_) | set(predicted))
    return {
        "is": is_, "predicted": predicted, "labels": labels,
        "accuracy": float(accuracy_score(is_, predicted)),
        "micro": average("micro"), "macro": average("macro"), "weighted": average("weighted"),
        "classes": [{"label": n, "precision": float(a), "recall": float(b), "f1": float(c), "support": int(d)}
                    for n, a, b, c, d in zip(names, p, r, f, s)],
        "confusion": confusion_matrix(is_, predicted, labels=names).tolist(),
    }


def made_up():
    rng = random.Random(8)
    cases = [
        # A class that is never predicted, one that only is, none right, one class.
        (["a", "a", "b", "c"], ["a", "a", "a", "c"]), (["a", "b"], ["a", "c"]), (["a", "b"], ["b", "a"]), (["x"], ["x"]),
        (["灯", "灯", "门"], ["灯", "门", "门"]),
        (["a", "b", "b"], ["a", "(none)", "b"], ["a", "b"]), (["a", "b"], ["b", "b"], ["b", "z"]), (["a", "b", "c"], ["c", "c", "c"], ["a"]),
    ]
    for _ in range(40):
        n, k = rng.randint(1, 60), rng.randint(1, 7)
        names = [chr(ord("a") + i) for i in range(k)]
        is_ = [rng.choice(names) for _ in range(n)]
        predicted = [i if rng.random() < 0.6 else rng.choice(names + ["(none)"]) for i in is_]
        labels = rng.choice([None, None, names])
        cases.append((is_, predicted, labels) if labels else (is_, predicted))
    return cases


if len(sys.argv) > 1:
    with open(sys.argv[1], encoding="utf-8") as f:
        cases = [(c["is"], c["predicted"], c.get("labels")) for c in json.load(f)]
else:
    cases = made_up()
json.dump([case(*c) for c in cases], sys.stdout, ensure_ascii=False, separators=(",", ":"))
print()
