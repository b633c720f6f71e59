"""A byte-level BPE vocabulary of 263 tokens: 256 bytes, five merges, begin and end."""

import gguf

MERGES = ["Ġ t", "h e", "Ġt he", "i n", "e r"]  # "Ġ" is how GPT-2 writes a space
BOS, EOS = "<|begin|>", "<|end|>"


def _byte_symbols() -> list[str]:
    """GPT-2's printable stand-ins: bytes that print stand for themselves, the rest count up from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spare = iter(range(0x100, 0x200))
    return [chr(b) if b in printable else chr(next(spare)) for b in range(256)]


TOKENS = _byte_symbols() + [m.replace(" ", "") for m in MERGES] + [BOS, EOS]
SIZE = len(TOKENS)

# A text that uses every merge, a character of four bytes and a control token (agrees with llama-tokenize).
SAMPLE = "the other, thin inner \U0001F642" + EOS
SAMPLE_TOKENS = [116, 257, 32, 111, 116, 257, 114, 44, 256, 104, 259, 32, 259, 110, 260, 32, 240, 159, 153, 130, 262]


def write(w: gguf.GGUFWriter) -> None:
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(TOKENS)
    w.add_token_types([gguf.TokenType.NORMAL] * (SIZE - 2) + [gguf.TokenType.CONTROL] * 2)
    w.add_token_merges(MERGES)
    w.add_bos_token_id(SIZE - 2)
    w.add_eos_token_id(SIZE - 1)
    w.add_add_bos_token(False)
