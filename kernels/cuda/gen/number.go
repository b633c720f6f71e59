package main

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/ledge-run/ledge/kernels/cuda"
)

var (
	register    = regexp.MustCompile(`%(r|rd|rs|f|fd|p|rh|h)([0-9]+)\b`)
	label       = regexp.MustCompile(`\$L__BB[0-9]+_[0-9]+\b`)
	declaration = regexp.MustCompile(`(?m)^\t\.reg \.\w+ +\t%(\w+)<([0-9]+)>;$`)
)

// number gives a kernel's registers and labels the numbers in which they come: 1, 2,
// ... of each class. It says the same, and compresses better: see package cuda.
func number(ptx []byte) ([]byte, error) {
	most := map[string]int{}
	for _, m := range declaration.FindAllSubmatch(ptx, -1) {
		class := string(m[1])
		if _, twice := most[class]; twice {
			return nil, fmt.Errorf("registers %%%s are declared twice: several functions in a kernel", class)
		}
		most[class], _ = strconv.Atoi(string(m[2]))
	}
	names, count := map[string][]byte{}, map[string]int{}
	rename := func(class, prefix string, old []byte) []byte {
		if name, ok := names[string(old)]; ok {
			return name
		}
		count[class]++
		name := fmt.Appendf(nil, "%s%d", prefix, count[class])
		names[string(old)] = name
		return name
	}
	ptx = register.ReplaceAllFunc(ptx, func(old []byte) []byte {
		class := string(register.FindSubmatch(old)[1])
		return rename(class, "%"+class, old)
	})
	for class, n := range count {
		if n >= most[class] {
			return nil, fmt.Errorf("%d registers %%%s, and %d are declared", n+1, class, most[class])
		}
	}
	return label.ReplaceAllFunc(ptx, func(old []byte) []byte { return rename(cuda.Label, cuda.Label, old) }), nil
}
