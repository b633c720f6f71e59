package backend

// Counters are what an executable's runs have cost since it was compiled, by
// the device's own accounting.
type Counters struct {
	Submissions   int64 `json:"submissions"`     // handed to the device's queue
	Dispatches    int64 `json:"dispatches"`      // kernels that were started
	ReadBacks     int64 `json:"read_backs"`      // copies from the device to the host
	ReadBackBytes int64 `json:"read_back_bytes"` // their bytes

	// Traffic is how many bytes the kernels moved from and to the device's
	// memory: what a dispatch reads or writes counts once for the dispatch,
	// however many of its workgroups touch it. Streamed is the part of it that
	// cannot be avoided: the weights that the runs needed and the keys and
	// values that attention read, each once for a run.
	Traffic  int64 `json:"traffic_bytes"`
	Streamed int64 `json:"streamed_bytes"`
}

// Counted is implemented by executables that count. Counters is not called
// during a run.
type Counted interface{ Counters() Counters }

// Add gives the sums of two counts.
func (c Counters) Add(d Counters) Counters { return c.plus(d, 1) }

// Since gives what has been counted since an earlier state of the same counters.
func (c Counters) Since(d Counters) Counters { return c.plus(d, -1) }

func (c Counters) plus(d Counters, sign int64) Counters {
	return Counters{
		Submissions: c.Submissions + sign*d.Submissions, Dispatches: c.Dispatches + sign*d.Dispatches,
		ReadBacks: c.ReadBacks + sign*d.ReadBacks, ReadBackBytes: c.ReadBackBytes + sign*d.ReadBackBytes,
		Traffic: c.Traffic + sign*d.Traffic, Streamed: c.Streamed + sign*d.Streamed,
	}
}
