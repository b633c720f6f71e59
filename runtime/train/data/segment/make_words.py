#!/usr/bin/env python3
"""Writes words.gz: the words of jieba's dictionary (MIT licence, third_party/README.md) that are Chinese characters only and
occur at least ten times in the texts it was counted on, and all single characters; with four times the binary logarithm
of their counts. Each line shares a number of characters with the one before.

    pip install jieba==0.42.1
    python3 make_words.py
"""

import gzip
import math
import os
import re

import jieba

HERE = os.path.dirname(os.path.abspath(__file__))
words = {}
with open(os.path.join(os.path.dirname(jieba.__file__), "dict.txt"), encoding="utf-8") as f:
    for line in f:
        word, count, _ = line.split(" ")
        if re.fullmatch("[\u3400-\u9fff]{1,8}", word) and (len(word) == 1 or int(count) >= 10):
            words[word] = int(count)
lines, before = [], ""
for word in sorted(words):
    shared = len(os.path.commonprefix([before, word]))
    lines.append(f"{shared}{word[shared:]}{round(4 * math.log2(words[word] + 1))}\n")
    before = word
with open(os.path.join(HERE, "words.gz"), "wb") as out:
    out.write(gzip.compress("".join(lines).encode(), 9, mtime=0))
