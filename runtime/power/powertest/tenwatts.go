package powertest

import (
	"io/fs"
	"strconv"
	"testing/fstest"
	"time"
)

// TenWatts is a machine whose processor has drawn 10 W since a time, as its counter says.
type TenWatts time.Time

// Files are its files as they are now.
func (t TenWatts) Files() fstest.MapFS {
	const dir = "sys/class/powercap/intel-rapl:0/"
	return fstest.MapFS{
		dir + "name":                {Data: []byte("package-0\n")},
		dir + "max_energy_range_uj": {Data: []byte("262143328850\n")},
		dir + "energy_uj":           {Data: []byte(strconv.FormatInt(10*time.Since(time.Time(t)).Microseconds(), 10))},
	}
}

func (t TenWatts) Open(name string) (fs.File, error) { return t.Files().Open(name) }
