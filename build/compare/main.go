package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"github.com/ledge-run/ledge/runtime/bench"
)

func main() {
	n, _ := strconv.Atoi(os.Args[1])
	for i := 0; i < 3; i++ {
		c, err := bench.ReadCeiling(context.Background(), 256<<20, n, 7)
		d, _ := bench.DotCeiling(context.Background(), n, 5)
		fmt.Println(c, d, err)
	}
}
