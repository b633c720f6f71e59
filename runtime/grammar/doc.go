// Package grammar limits what a model may generate to the words of a grammar,
// byte by byte.
//
// A [Grammar] is a set of rules. Each rule is a deterministic automaton whose
// edges are bytes or calls of other rules: a pushdown automaton, so that rules
// may recurse. A [Matcher] follows a text through it and says which tokens of a
// [Vocabulary] may come next; it is a sampler.Constraint.
//
// # How a mask is found
//
// The vocabulary is a trie of the tokens' bytes. In the general case the trie is
// walked together with the automaton, and a branch is left as soon as no rule goes
// on. That is quick where little is allowed, between the strings of a JSON text.
// Inside a string nearly everything is allowed and the walk sees the whole trie;
// so rules without calls are walked apart from what called them, once for each
// state: that gives the tokens that stay inside the rule, and the places of the
// trie where the rule may end. A mask is then that set of tokens, and for each
// such place what the callers can do with the rest of the token. Rules that count
// their characters (minLength, maxLength) sort the tokens by how many they have, so
// that every count uses the same walk.
//
// Callers are shared: all that wait for a call that began at the same byte are one
// set. An ambiguous grammar costs no more than its number of states.
package grammar
