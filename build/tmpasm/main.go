package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/ledge-run/ledge/backend/vulkan"
)

func main() {
	c, err := vulkan.OpenCompiler()
	if err != nil {
		panic(err)
	}
	var k []uint32
	for _, a := range os.Args[2:] {
		n, _ := strconv.Atoi(a)
		k = append(k, uint32(n))
	}
	m, err := c.Compile(os.Args[1], k)
	if err != nil {
		panic(err)
	}
	fmt.Println(m.Assembly)
	fmt.Fprintln(os.Stderr, c.Subgroup(), m.Statistics)
}
