// Command ledge-bench measures language models side by side with other engines, and
// says how sure the figures are.
//
//	ledge-bench init board.yaml
//	ledge-bench run board.yaml
//	ledge-bench table board.yaml
//
// Results go to standard output, everything else to standard error. Run ledge-bench
// help for the commands.
package main

import (
	"os"

	_ "github.com/ledge-run/ledge/backend/all"          // every backend of this build
	_ "github.com/ledge-run/ledge/runtime/power/nvidia" // and the power of NVIDIA's cards
)

func main() {
	ignoreFileLimit()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
