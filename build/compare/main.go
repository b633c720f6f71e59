package main

import (
	"fmt"
	"os"
)

func main() {
	if err := makeModels(os.Args[2], os.Args[3], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
