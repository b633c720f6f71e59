package neardup

import "slices"

// Clusters are sets of documents, numbered from 0, that belong together.
type Clusters struct{ parent []uint32 }

// NewClusters puts each of n documents into a set of its own.
func NewClusters(n int) *Clusters {
	c := &Clusters{make([]uint32, n)}
	for i := range c.parent {
		c.parent[i] = uint32(i)
	}
	return c
}

// First is the first document of the set that i is in.
func (c *Clusters) First(i uint32) uint32 {
	for c.parent[i] != i {
		c.parent[i] = c.parent[c.parent[i]]
		i = c.parent[i]
	}
	return i
}

// Join makes one set of two.
func (c *Clusters) Join(a, b uint32) {
	a, b = c.First(a), c.First(b)
	if a > b {
		a, b = b, a
	}
	c.parent[b] = a
}

// Clone copies the sets.
func (c *Clusters) Clone() *Clusters { return &Clusters{slices.Clone(c.parent)} }

// maxCompared bounds the documents of a band that another is compared with: where many share
// a key without being alike, most of what is to be found is found with the first ones, or in another band.
const maxCompared = 16

// Band joins documents that have the same key in a band, by document, if alike says so. alike is not
// asked about documents that are together already.
func (c *Clusters) Band(keys []uint64, alike func(a, b uint32) (bool, error)) error {
	order := make([]uint32, len(keys))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		switch {
		case keys[a] != keys[b]:
			if keys[a] < keys[b] {
				return -1
			}
			return 1
		case a < b:
			return -1
		}
		return 1
	})
	for len(order) > 0 {
		n := 1
		for n < len(order) && keys[order[n]] == keys[order[0]] {
			n++
		}
		if n > 1 {
			if err := c.group(order[:n], alike); err != nil {
				return err
			}
		}
		order = order[n:]
	}
	return nil
}

// group joins the documents of one key.
func (c *Clusters) group(docs []uint32, alike func(a, b uint32) (bool, error)) error {
	different := []uint32{docs[0]}
	for _, d := range docs[1:] {
		joined := slices.ContainsFunc(different, func(o uint32) bool { return c.First(o) == c.First(d) })
		for _, o := range different {
			if joined {
				break
			}
			ok, err := alike(o, d)
			if err != nil {
				return err
			}
			if ok {
				c.Join(o, d)
				joined = true
			}
		}
		if !joined && len(different) < maxCompared {
			different = append(different, d)
		}
	}
	return nil
}
