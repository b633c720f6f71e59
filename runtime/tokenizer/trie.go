package tokenizer

import (
	"slices"
	"strings"
)

// trie finds tokens by their texts. A node has as many bytes as its tokens have in
// common, so that there are at most two nodes for each token, however long. The
// children of a node are neighbours.
type trie struct {
	first [256]int32 // the root's children; 0: none
	nodes []trieNode // node 0 is the root
	texts []string   // of tokens
	ids   []int32    // the tokens that it has
}

type trieNode struct {
	label       byte  // the first of the node's bytes
	at          int32 // place in ids of the token that ends here, -1: none
	from        int32 // a token that has the node's bytes,
	depth       int32 // and where they end in it; they begin where the parent's end
	child, kids int32 // first child and number of children
}

func (t *trie) empty() bool { return len(t.nodes) <= 1 }

// newTrie builds the trie of texts[id] for the given ids, level by level.
func newTrie(texts []string, ids []int32) trie {
	t := trie{nodes: []trieNode{{at: -1}}, texts: texts, ids: ids}
	sorted := make([]int32, len(ids)) // places in ids
	for i := range sorted {
		sorted[i] = int32(i)
	}
	text := func(place int32) string { return texts[ids[place]] }
	slices.SortStableFunc(sorted, func(a, b int32) int { return strings.Compare(text(a), text(b)) })
	type span struct{ lo, hi int32 } // the tokens below a node
	spans := []span{{0, int32(len(sorted))}}
	for n := 0; n < len(t.nodes); n++ {
		p, depth := spans[n], int(t.nodes[n].depth)
		for p.lo < p.hi && len(text(sorted[p.lo])) == depth {
			t.nodes[n].at = sorted[p.lo]
			p.lo++
		}
		t.nodes[n].child = int32(len(t.nodes))
		for p.lo < p.hi {
			from := sorted[p.lo]
			b, hi := text(from)[depth], p.lo+1
			for hi < p.hi && text(sorted[hi])[depth] == b {
				hi++
			}
			if n == 0 {
				t.first[b] = int32(len(t.nodes))
			}
			common := depth + commonPrefix(text(from)[depth:], text(sorted[hi-1])[depth:])
			t.nodes = append(t.nodes, trieNode{label: b, at: -1, from: ids[from], depth: int32(common)})
			spans = append(spans, span{p.lo, hi})
			t.nodes[n].kids++
			p.lo = hi
		}
	}
	return t
}

// commonPrefix is how many bytes two texts begin with in common.
func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// walk calls found for every token that text has at position i, shorter ones first, with its place in ids.
func (t *trie) walk(text string, i int, found func(place int32)) {
	if i >= len(text) {
		return
	}
	text = text[i:]
	for n, depth := t.first[text[0]], 0; n != 0; {
		node := &t.nodes[n]
		if !strings.HasPrefix(text[depth:], t.texts[node.from][depth:node.depth]) {
			return
		}
		if depth = int(node.depth); node.at >= 0 {
			found(node.at)
		}
		if depth >= len(text) {
			return
		}
		n = t.childOf(node, text[depth])
	}
}

// childOf gives the child that begins with a byte, 0 for none.
func (t *trie) childOf(node *trieNode, b byte) int32 {
	for k := range node.kids {
		if t.nodes[node.child+k].label == b {
			return node.child + k
		}
	}
	return 0
}
