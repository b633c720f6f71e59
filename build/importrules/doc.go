// Package importrules holds a test: which package may import which. The rules
// keep the parts of Ledge replaceable: kernels know no graph, backends no model,
// and nothing but the engine knows all of them.
package importrules
