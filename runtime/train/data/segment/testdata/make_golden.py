#!/usr/bin/env python3
"""Writes golden.txt: the sentences of sample.txt as jieba divides them (its default mode, with its HMM).

    pip install jieba==0.42.1
    python3 testdata/make_golden.py
"""

import os

import jieba

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "sample.txt"), encoding="utf-8") as f, open(os.path.join(HERE, "golden.txt"), "w", encoding="utf-8") as out:
    for line in f:
        out.write(" ".join(jieba.cut(line.rstrip("\n"))) + "\n")
