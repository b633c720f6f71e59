#!/usr/bin/env python3
"""Writes goldens.json: small vocabularies and what the original libraries make of
texts with them (Hugging Face tokenizers, SentencePiece), and how Oniguruma, the
engine behind the Hugging Face tokenizers, cuts texts by each pre-tokenizer's
expressions.

    pip install tokenizers sentencepiece
    python3 testdata/make_goldens.py
"""

import io
import json
import os
import random

import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))

TRAINING = """
A small vocabulary is trained on this text; it need not be good, only real. The machine reads the
words one after another, counts the pairs of letters that stand together, and joins the pair it has
seen most often. Then it counts again. After some hundred rounds the commonest words are tokens,
and the rare ones are made of pieces: the, there, then, other, another, together, whether, weather.
def encode(text): return [vocabulary[word] for word in split(text) if word in vocabulary]
for i in range(10): print("row", i, "of", 10) # 0 1 2 3 4 5 6 7 8 9 10 11 12 100 200 1000 2026
Der kleine Wortschatz wird an diesem Text geübt; größer müßte er nicht sein. Où est la bibliothèque?
Слова читаются одно за другим, и пары букв соединяются. 今日は良い天気です。今天天气很好。오늘 날씨가 좋다.
It's what we've said: they'll see, I'm sure, you're right, he'd know, don't they? Yes, they do!
"""

TEXTS = [
    "", " ", "  ", "   ", "\t", "\n", "\n\n", "\n\n\n", "\t\n", "\r\n", "\r\n\r\n", " \n", "\n ", " \n \n x", "a  b", "a   b", "a    b",
    "x ", "x  ", "x   ", "x\n", "x\n\n", "x \n", "x\n\ny", "x \n  y", "x\t\ty", "\t\tx", "  x", "    indented\n    twice", "\u00a0x\u00a0\u00a0y",
    "\u3000\u3000z", "a\u2028b\u2029c\u0085d", "\v\f\r", "Hello world", " Hello world", "Hello, world!", " Hello,  world !", "HELLO", "Hello WORLD helloWorld HTTPServer iPhone",
    "camelCaseWordsAndXMLHttpRequest", "ÉCOLE École école ÉCole", "it's they're we've I'm he'll she'd can't", "IT'S THEY'RE WE'VE I'M HE'LL SHE'D CAN'T",
    "'s 't 're", "x's y'S z'Ll w'rE", "rock'n'roll 'tis o'clock", "'", "''", "' s", "it’s ‘so’ “quoted”", "Ankara'nın İstanbul'da",
    "1", "12", "123", "1234", "12345", "123456", "1234567", "1234567890123", "x1y22z333", " 1 22 333 4444", "3.14159", "1,234,567.89", "$1,000.00", "0xFF 1e-10",
    "½ ² ٣٤٥٦ ๑๒๓ Ⅷ ①", "v1.2.3-rc4", "2026-11-23T18:01:52Z", "+49 (0)30 123456", "!", "?!", "...", "!!!???", "a.b,c;d:e", "(a) [b] {c} <d>", "...\n", "!\n\n", "a!\n\nb", "a /\n/ b//\n",
    "#hash @at $cash %per ^hat &and *star", "= == === <=> -> =>", "a+b=c~d|e`f`", "^^ ~~ || `` $$ ++ == <<>>", "__init__ snake_case kebab-case", "C:\\dir\\file", "https://ex.org/a?b=c&d#e", "«x» ‹y› „z“ — – …",
    "。、！？「引号」，；：", "！＂＃～ ＡＢＣ", "this is 🦙.cpp", "🚀 (normal) 😶‍🌫️ ✅", "👩‍👩‍👧‍👦👍🏽🇩🇪", "1️⃣#️⃣", "e\u0301a\u0300 o\u0302\u0323", "\u0301x", " \u0301x", "!\u0301x", "a\u0301\u0302b\u0303",
    "नमस्ते दुनिया", "ক্ষ ওহে বিশ্ব", "สวัสดีชาวโลก ๑", "កាន់តែពិសេស", "မင်္ဂလာပါ", "ສະບາຍດີ", "שָׁלוֹם עוֹלָם", "مَرْحَبًا، بِكُمْ؟ نعم۔", "Съешь же ещё", "ΣΊΣΥΦΟΣ ὀδυσσεύς", "Բարեւ ᲒᲐ გა", "ᏣᎳᎩ ꮳꮃꭹ",
    "我想在apple工作1314151天～", "今日は良い天気です。カタカナ", "ｶﾀｶﾅ々〇", "안녕하세요 세계", "ᄒᆞᆫ글ㄱㄴ", "𠮷野家 𝕳𝖊𝖑𝖑𝖔 𝟙𝟚𝟛𝟜", "Ωmega Åström ǅungla ʔaʕb ªº", "ĳssel ŉ ﬁn ﬂy", "ß ẞ ı İ", "a\u200bb\u200dc\ufeffd", "a\x00b\x1fc\x7f", "\ufffd\ue000\U0010fffd",
    "func main() {\n\tfmt.Println(\"hi\")\n}\n", "def f(x):\n    return x  # ok\n\n\nclass A:\n    pass", "if (a&&b||!c) { d ^= ~e; } // why?", "<div class=\"x\">y</div>\n<br/>", "{\"a\": [1, null]}\n", "\\alpha_{i} + \\beta^2",
    "the weather, whether there or together", "größer müßte", "другим словом", "hello world (again) 5 times!!", "mixed中文and日本語with한국어", "word  \n\n\n   next", "a\r\nb\rc\n", "end of text   ", "tabs\tand\tspaces \t mixed",
    "A1B2C3", "x²y³", "50%", "#1", "C++ & C#", "e.g. i.e. etc.", "U.S.A.", "Mr.O'Neill's", "naïve café", "NAÏVE CAFÉ", "l'été d'hiver", "a" * 40, "z9" * 15, " " * 20 + "q", "=" * 30, "多" * 12,
]

# Expressions, one per stage: the original ones of each tokenizer.json where a
# model publishes a regular expression.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + TAIL
QWEN2 = SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + TAIL
QWEN35 = SHORT + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + TAIL
UP, LOW = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASED = r"[^\r\n\p{L}\p{N}]?%s*%s+{0}|[^\r\n\p{L}\p{N}]?%s+%s*{0}" % (UP, LOW, UP, LOW)
GPT4O = CASED.replace("{0}", SHORT + "?") + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + TAIL
TEKKEN = CASED.replace("{0}", "") + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + TAIL
NOHAN = "&&[^\\p{Han}]]"
KIMI = (r"[\p{Han}]+|" + CASED.replace("{0}", SHORT + "?").replace(UP, UP[:-1] + NOHAN).replace(LOW, LOW[:-1] + NOHAN)
        + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + TAIL)
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*" + TAIL)
CJK = "[一-龥ࠀ-一가-\ud7ff]+"
ASIAN = ("[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf\u0e40-\u0e7f"
         "\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff]+")
PORO = " ?[^(\\s|.,!?…。，、।۔،)]+"
EXPRESSIONS = {
    "gpt-2": [GPT2],
    "smollm": [r"\p{N}", GPT2],
    "llama-bpe": [LLAMA3],
    "qwen2": [QWEN2],
    "qwen35": [QWEN35],
    "gpt-4o": [GPT4O],
    "tekken": [TEKKEN],
    "kimi-k2": [KIMI],
    "deepseek-v3": [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+", DEEPSEEK3],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK, r"\p{N}"],
    "falcon": [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
    "default": [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
    "bailingmoe": [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"],
    "seed-coder": [SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+" + TAIL],
    "exaone-moe": [SHORT + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
    "jais-2": [SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}"],
    "ufakzeka": [r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + TAIL],
    "minicpm5": [r"\p{N}{1,3}", SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*" + TAIL],
    "laguna": [r"[^\n]+|[\n]+", QWEN2],
    "spark2_5": [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+", DEEPSEEK3.replace(r"[\r\n]*" + TAIL, r"|[\r\n]|\s+(?!\S)|\s+"), r"\p{N}"],
    "bloom": [PORO],
    "viking": [PORO, r"\p{N}"],
    "afmoe": [r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))", ASIAN, DEEPSEEK3],
    "tiny_aya": [r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))", GPT4O],
    "gemma4": [r"[^\n]+|[\n]+"],
}


def splits():
    """Sizes in bytes of the words of every text, per pre-tokenizer."""
    out = {}
    for name, stages in EXPRESSIONS.items():
        cut = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(s), "isolated") for s in stages])
        out[name] = [[len(w.encode()) for w, _ in cut.pre_tokenize_str(t)] for t in TEXTS]
    return out


def cases(encode, texts):
    return [{"text": t, "ids": encode(t)} for t in texts]


SPECIAL = ["<|im_start|>user\nHi<|im_end|>\n", "a<|im_end|>b <|im_end|> c", "<|im_end|><|im_end|>", "<|im_end|", "<tool> x<tool>y"]


def byte_level(name, pre, split, ignore_merges=False):
    tok = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tok.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(TRAINING.splitlines(True), trainers.BpeTrainer(
        vocab_size=640, special_tokens=["<|im_start|>", "<|im_end|>"], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    tok.add_tokens(["<tool>"])
    data = json.loads(tok.to_str())["model"]
    vocab = tok.get_vocab()
    tokens = sorted(vocab, key=vocab.get)
    types = [3 if t.startswith("<|im_") else 4 if t == "<tool>" else 1 for t in tokens]
    return {
        "name": name,
        "metadata": {
            "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types,
            "tokenizer.ggml.merges": [" ".join(m) for m in data["merges"]],
            "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 1, "tokenizer.ggml.add_bos_token": False,
        },
        "cases": cases(lambda t: tok.encode(t, add_special_tokens=False).ids, TEXTS + SPECIAL),
    }


def wordpiece():
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.train_from_iterator(TRAINING.splitlines(True), trainers.WordPieceTrainer(
        vocab_size=500, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    vocab = tok.get_vocab()
    tokens = sorted(vocab, key=vocab.get)
    types = [3 if t.startswith("[") and len(t) > 3 else 1 for t in tokens]
    spelt = [t if ty == 3 else t[2:] if t.startswith("##") else "\u2581" + t for t, ty in zip(tokens, types)]
    extra = ["Größe ÉTÉ", "İstanbul Σίσυφος", "오늘 날씨가 좋다", "नमस्ते ก็ที่", "a\tb\nc", "x\u00adz\u200by", "t" * 101, "t" * 100, "$5+3=8 ~x`y", "\u0378a"]
    return {
        "name": "wordpiece",
        "metadata": {
            "tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": spelt, "tokenizer.ggml.token_type": types, "tokenizer.ggml.padding_token_id": 0,
            "tokenizer.ggml.unknown_token_id": 1, "tokenizer.ggml.bos_token_id": 2, "tokenizer.ggml.cls_token_id": 2, "tokenizer.ggml.seperator_token_id": 3, "tokenizer.ggml.mask_token_id": 4,
        },
        "cases": cases(lambda t: tok.encode(t, add_special_tokens=False).ids, TEXTS + extra + ["a [MASK] b", "[CLS]x[SEP]"]),
    }


def sentence_piece(name, prefix):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TRAINING.strip().splitlines()), model_writer=model, vocab_size=560, model_type="bpe", byte_fallback=True,
        character_coverage=0.98, normalization_rule_name="identity", add_dummy_prefix=prefix, remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, split_digits=True, user_defined_symbols=["<tool>"], minloglevel=2, num_threads=1)
    sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    n = sp.get_piece_size()
    types = [2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 4 if sp.id_to_piece(i) == "<tool>" else 1 for i in range(n)]
    return {
        "name": name,
        "metadata": {
            "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": [sp.id_to_piece(i) for i in range(n)], "tokenizer.ggml.token_type": types,
            "tokenizer.ggml.scores": [sp.get_score(i) for i in range(n)], "tokenizer.ggml.add_space_prefix": prefix,
        },
        # SentencePiece cannot take NUL, and reads U+2581 as a space.
        "cases": cases(sp.encode, [t for t in TEXTS if "\x00" not in t]),
    }


def main():
    random.seed(1)
    regex = lambda s: pre_tokenizers.Split(Regex(s), "isolated")
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), regex(GPT2)])
    goldens = {
        "texts": TEXTS,
        "splits": splits(),
        "vocabularies": [
            byte_level("gpt-2", "gpt-2", regex(GPT2)),
            byte_level("smollm", "smollm", digits),
            byte_level("llama-bpe", "llama-bpe", regex(LLAMA3), ignore_merges=True),
            byte_level("qwen2", "qwen2", regex(QWEN2)),
            byte_level("gpt-4o", "gpt-4o", regex(GPT4O)),
            wordpiece(),
            sentence_piece("sentencepiece", True),
            sentence_piece("sentencepiece-no-prefix", False),
        ],
    }
    with open(os.path.join(HERE, "goldens.json"), "w", encoding="utf-8") as f:
        json.dump(goldens, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
