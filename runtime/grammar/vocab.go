package grammar

import (
	"bytes"
	"slices"
)

// maxTokenBytes is the length from which a token is never allowed: longer ones
// are rare (runs of spaces), and no text needs them.
const maxTokenBytes = 255

// Vocabulary is the tokens of a model as a trie of their bytes, in preorder.
type Vocabulary struct {
	size   int
	end    []int32 // ids that end a generation
	pieces [][]byte
	nodes  []node
	tokens []int32 // by node in preorder; node i has tokens[nodes[i].first:nodes[i+1].first]
}

// node is a place in the trie. nodes[0] is the root; the nodes below i are i+1 to
// nodes[i].skip-1, and the last element only bounds the tokens.
type node struct {
	skip  int32
	first int32
	b     byte
	depth uint8
}

// NewVocabulary makes a vocabulary of size tokens. piece gives the bytes a token
// stands for in a text, nothing for those that stand for none (control tokens);
// end are the tokens that end a generation.
func NewVocabulary(size int, piece func(id int32) string, end []int32) *Vocabulary {
	v := &Vocabulary{size: size, end: slices.Clone(end), pieces: make([][]byte, size)}
	var text []byte
	ends := make([]int, 0, size) // of the pieces in text
	ids := make([]int32, 0, size)
	ending := map[int32]bool{}
	for _, id := range end {
		ending[id] = true
	}
	for id := range int32(size) {
		if p := piece(id); p != "" && len(p) <= maxTokenBytes && !ending[id] {
			text = append(text, p...)
			ids, ends = append(ids, id), append(ends, len(text))
		}
	}
	at := 0
	for i, id := range ids {
		v.pieces[id] = text[at:ends[i]:ends[i]]
		at = ends[i]
	}
	v.sort(ids)
	v.build(ids)
	return v
}

// sort orders tokens by their bytes. The first eight are compared as one number.
func (v *Vocabulary) sort(ids []int32) {
	type keyed struct {
		key uint64
		id  int32
	}
	keys := make([]keyed, len(ids))
	for i, id := range ids {
		var k [8]byte
		copy(k[:], v.pieces[id])
		for _, b := range k {
			keys[i].key = keys[i].key<<8 | uint64(b)
		}
		keys[i].id = id
	}
	slices.SortFunc(keys, func(a, b keyed) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		if c := bytes.Compare(v.pieces[a.id], v.pieces[b.id]); c != 0 {
			return c
		}
		return int(a.id - b.id)
	})
	for i, k := range keys {
		ids[i] = k.id
	}
}

// build makes the trie of sorted tokens.
func (v *Vocabulary) build(ids []int32) {
	v.nodes = append(make([]node, 0, len(ids)*2+2), node{})
	v.tokens = ids
	var path [maxTokenBytes + 1]int32 // the node at each depth of the last token
	var last []byte
	depth := 0
	for i, id := range ids {
		p := v.pieces[id]
		same := 0
		for same < len(last) && same < len(p) && last[same] == p[same] {
			same++
		}
		for ; depth > same; depth-- {
			v.nodes[path[depth]].skip = int32(len(v.nodes))
		}
		for ; depth < len(p); depth++ {
			path[depth+1] = int32(len(v.nodes))
			// What lies before this node's own tokens is its ancestors'.
			v.nodes = append(v.nodes, node{first: int32(i), b: p[depth], depth: uint8(depth + 1)})
		}
		last = p
	}
	for ; depth >= 0; depth-- {
		v.nodes[path[depth]].skip = int32(len(v.nodes))
	}
	v.nodes = append(v.nodes, node{first: int32(len(ids))})
}

// at gives the tokens that end at a node.
func (v *Vocabulary) at(n int32) []int32 { return v.tokens[v.nodes[n].first:v.nodes[n+1].first] }

// Size is the number of tokens.
func (v *Vocabulary) Size() int { return v.size }
