// Package tokenizer turns text into the token ids of a language model and back.
//
// It implements the three families found in GGUF files, under the names the
// key tokenizer.ggml.model gives them:
//
//   - "gpt2": byte-level BPE. The text is cut into words by rules on Unicode
//     classes (the pre-tokenizer, named by tokenizer.ggml.pre), each word is
//     taken as bytes, and pairs are merged in the order of the merge list.
//   - "gemma4": BPE on characters, with spaces written as U+2581 (▁) and bytes
//     as <0x00>…<0xFF> where a character has no token.
//   - "llama": SentencePiece BPE. The pair whose joined text has the highest
//     score is merged first; characters without a token become bytes.
//   - "bert": WordPiece, the longest match from the left within each word of
//     the normalised text.
//
// Rules follow llama.cpp, whose vocabulary suites this package passes, and the
// Hugging Face tokenizers they were made from. Where they differ, and where
// this package differs from both:
//
//   - Bytes that are not UTF-8 are kept, so byte-level BPE and SentencePiece
//     with byte tokens are lossless for any input (llama.cpp replaces each such
//     byte by U+FFFD in BPE). For the pre-tokenizer each one counts as a symbol.
//   - WordPiece normalises as BERT does: full NFD, and only non-spacing marks
//     (Mn) are removed (llama.cpp keeps the first code point of the
//     decomposition and drops every mark).
//   - Decoded text is never "cleaned up": the space before a full stop stays.
//
// A Tokenizer is immutable and safe for concurrent use.
package tokenizer
