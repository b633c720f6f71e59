// Package bpetrain makes byte-level BPE vocabularies from texts.
//
// The algorithm is byte-pair encoding (Gage 1994; Sennrich, Haddow and Birch,
// "Neural Machine Translation of Rare Words with Subword Units", ACL 2016) on
// bytes (Radford et al., GPT-2, 2019): a pre-tokenizer cuts the texts into words,
// the words are counted, and the pair of neighbouring tokens that occurs most
// often becomes a token, until the vocabulary is full. Of pairs equally frequent
// the one with the lower first id comes first, then the lower second id.
//
// Given the same texts and settings, the tokens, their ids and the merges are those
// of the BpeTrainer of Hugging Face's tokenizers with the byte alphabet, in the same
// order: special tokens first, whole ones after them, then the 256 bytes by the code point that GPT-2's
// alphabet writes them with, then merges. That includes what follows from how it
// updates counts: a pair that has been merged keeps its count, and occurrences that
// arise later because another pair made the same token are counted on top and queued
// by themselves. Counts have 64 bits here and 32 there.
//
// The result does not depend on the number of threads or on the order of the texts.
package bpetrain
