package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Figures of memory that Linux keeps of a process.
const (
	Resident = "VmRSS" // what it holds now
	Peak     = "VmHWM" // what it has held at most, of its own alone
)

// Memory is a figure of this process, in bytes. Systems other than Linux do not tell.
func Memory(figure string) (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, figure+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s of /proc/self/status: %w", figure, err)
			}
			return kb << 10, nil
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no %s", figure)
}
