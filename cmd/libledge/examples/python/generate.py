"""Continues a text, and says which of two others is nearer to it.

    python3 generate.py MODEL PROMPT [LIBRARY]
"""

import math
import sys

import ledge


def similarity(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def show(text):
    print(text, end="", flush=True)


def main(path, prompt, *library):
    with ledge.Library(*library).open(path) as model:
        with model.session() as session:
            session.generate(prompt, show, temperature=0.0, max_tokens=32)
            print()
        base, others = model.embed(prompt), ["a city in Europe", "the price of bananas"]
        for text in others:
            print(f"similarity to {text!r}: {similarity(base, model.embed(text)):.2f}", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (ledge.LedgeError, OSError) as e:
        sys.exit(f"generate.py: {e}")
