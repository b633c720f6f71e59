// Package plan gives every value of a graph its place in one arena: values
// whose lifetimes do not overlap share memory.
package plan

// Plan is the memory layout of a graph's values, for the largest sizes its
// symbols may take.
type Plan struct {
	Slots []Slot // by node ID
	Arena int    // bytes
}

// Slot is one value's place. Weights, inputs and nodes without value have
// Off -1. A value that is another's memory under another shape (a reshape, an
// operation done in place) names that node in Alias; others have Alias -1.
type Slot struct {
	Off   int // bytes from the arena's start
	Size  int // bytes
	Alias int // node ID, or -1
}
