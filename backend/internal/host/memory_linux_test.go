package host

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWithin: what a control group leaves of a machine of 64 MB, 48 of them free.
func TestWithin(t *testing.T) {
	const mb = 1 << 20
	const stat = "anon 3145728\nfile 13631488\nshmem 1048576\nfile_mapped 2097152\ninactive_anon 4194304\n" +
		"active_anon 0\ninactive_file 8388608\nactive_file 4194304\nunevictable 0\nslab_reclaimable 524288\nworkingset_activate_file 77\n"
	for _, c := range []struct {
		name                string
		limit, usage, stats string // the files; "" for none
		total, free         uint64
	}{
		{"no group", "", "", "", 64 * mb, 48 * mb},
		{"no limit", "max\n", "16777216\n", stat, 64 * mb, 48 * mb},
		{"a limit above the machine's memory", "134217728\n", "16777216\n", stat, 64 * mb, 48 * mb},
		{"cached files are free", "20971520\n", "16777216\n", stat, 20 * mb, 16 * mb},
		{"active ones alone", "20971520\n", "16777216\n", "active_file 12582912\n", 20 * mb, 16 * mb},
		{"inactive ones alone", "20971520\n", "16777216\n", "inactive_file 12582912\n", 20 * mb, 16 * mb},
		{"memory of processes and tmpfs is not", "20971520\n", "16777216\n", "anon 12582912\nfile 4194304\nshmem 4194304\n", 20 * mb, 4 * mb},
		{"no statistics", "20971520\n", "16777216\n", "", 20 * mb, 4 * mb},
		{"odd statistics", "20971520\n", "16777216\n", "\nactive_file\ninactive_file x\nactive_file -1\n", 20 * mb, 4 * mb},
		{"statistics older than what is used", "20971520\n", "4194304\n", stat, 20 * mb, 20 * mb},
		{"more used than allowed", "4194304\n", "33554432\n", stat, 4 * mb, 0},
		{"nothing known of what is used", "20971520\n", "", stat, 20 * mb, 20 * mb},
		{"the machine has less", "62914560\n", "1048576\n", "", 60 * mb, 48 * mb},
	} {
		group := t.TempDir()
		for name, text := range map[string]string{"max": c.limit, "current": c.usage, "stat": c.stats} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(group, "memory."+name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if total, free := within(group, 64*mb, 48*mb); total != c.total || free != c.free {
			t.Errorf("%s: %d bytes of %d are free, want %d of %d", c.name, free, total, c.free, c.total)
		}
	}
}
