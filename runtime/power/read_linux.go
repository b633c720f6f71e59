package power

import "os"

// Read looks at this machine; false if it is no board that this package knows.
func Read() (Board, bool) { return read(os.DirFS("/")) }

// Open finds what this machine measures of its power.
func Open() *Meter { return OpenWith(os.DirFS("/"), linked()) }
