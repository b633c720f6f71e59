package pool

import (
	"io/fs"
	"strconv"
	"strings"

	"github.com/ledge-run/ledge/backend/internal/cgroup"
)

// cgroupQuota returns how many CPUs' worth of time the process's control groups
// allow, or 0 for no limit. root is the file system's root. It looks in version 2
// groups (cpu.max) and version 1 groups (cpu.cfs_quota_us, cpu.cfs_period_us) and
// takes the least. Files that are missing or make no sense count as no limit.
func cgroupQuota(root fs.FS) float64 {
	least := 0.0
	cgroup.Each(root, "cpu", func(g cgroup.Group) {
		limit := limitV1
		if g.V2 {
			limit = limitV2
		}
		if q := limit(g); q > 0 && (least == 0 || q < least) {
			least = q
		}
	})
	return least
}

// limitV2 reads "QUOTA PERIOD" in µs, QUOTA possibly "max".
func limitV2(g cgroup.Group) float64 {
	f := strings.Fields(g.Read("cpu.max"))
	if len(f) < 1 || len(f) > 2 {
		return 0
	}
	if len(f) == 1 {
		f = append(f, "100000")
	}
	return ratio(f[0], f[1])
}

// limitV1 reads quota and period in µs from two files; quota -1 is no limit.
func limitV1(g cgroup.Group) float64 {
	return ratio(strings.TrimSpace(g.Read("cpu.cfs_quota_us")), strings.TrimSpace(g.Read("cpu.cfs_period_us")))
}

// ratio returns quota/period if both are positive whole numbers, else 0.
func ratio(quota, period string) float64 {
	q, err := strconv.ParseInt(quota, 10, 64)
	if err != nil || q <= 0 {
		return 0
	}
	p, err := strconv.ParseInt(period, 10, 64)
	if err != nil || p <= 0 {
		return 0
	}
	return float64(q) / float64(p)
}
