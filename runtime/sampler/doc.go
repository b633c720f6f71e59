// Package sampler chooses the next token from a row of logits.
//
// The transformations, their order and their defaults are llama.cpp's: logit
// bias, penalties, DRY, top-n-sigma, top-k, locally typical, top-p, min-p,
// XTC, temperature, draw. Params says what each one does; Params.Order
// changes the order.
//
// A [Sampler] belongs to one sequence and one goroutine. For each token, call
// [Sampler.Sample] with the logits, then [Sampler.Accept] with the token that
// was used (usually the one returned). Prompt tokens go to
// [Sampler.AcceptPrompt], so that the penalties see them.
//
// # Rows and candidates
//
// A device can hand over its best candidates with the log-sum-exp of the row
// instead of the row ([Sampler.SampleCandidates]). The result is the one that
// Sample gives on the full row, or the sampler asks for that row. It tracks an
// upper bound for the logits that it can't see and bounds for their total
// probability, and asks as soon as these leave the outcome open:
//
//   - greedy, top-k and min-p need the row only when the cut reaches the last
//     candidate;
//   - top-p and XTC ahead of top-k use the log-sum-exp, and need the row when
//     the threshold lies closer to a token than the device's rounding, or when
//     biases have moved the best token by more than 600;
//   - penalties and negative biases lower candidates: those that fall to the
//     last candidate's logit or below are no longer certain, so top-k 40 still
//     works on 128 candidates when up to 87 of them are penalised away;
//   - a positive bias (or a penalty that rewards) on a token that is not a
//     candidate raises the bound;
//   - a constraint that forbids all candidates needs the row;
//   - top-n-sigma and typical ahead of any truncation, and a draw without any
//     truncation (no top-k, top-p or min-p), always need the row.
//
// [Sampler.Readout] tells in advance which of these a sampler will want.
//
// # Determinism
//
// The token depends on nothing but the logits, the accepted history, the
// parameters, the seed and the number of tokens drawn before. Random numbers
// come from Philox4x32-10, one block per token, counted from 0: token n's
// numbers do not depend on the settings or on what came before.
// Probabilities are 43-bit fixed-point integers relative to the most likely
// token, so that sums do not depend on their order; exponential and
// logarithm are this package's own and free of fused multiply-adds. The same
// input therefore gives the same token on every platform.
//
// Logits that are NaN or -Inf are never chosen; a row with nothing else, or
// with a +Inf, is an error.
package sampler
