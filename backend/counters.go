package backend

// Counters add up what an executable has asked of its device since it was
// compiled.
type Counters struct {
	Runs        int64 `json:"runs"`
	Submissions int64 `json:"submissions"` // to the device's queue
	Dispatches  int64 `json:"dispatches"`  // kernels started
	ReadBacks   int64 `json:"read_backs"`  // ranges copied to the host
	ReadBytes   int64 `json:"read_bytes"`  // bytes of them

	// Traffic is the bytes that the kernels read and wrote by their own account,
	// each byte of a dispatch's operands once, and Streamed those of them that are
	// weights or cache: what a run cannot do without.
	Traffic  int64 `json:"traffic"`
	Streamed int64 `json:"streamed"`
}

// Sub is what was counted since an earlier moment.
func (c Counters) Sub(earlier Counters) Counters {
	c.Runs -= earlier.Runs
	c.Submissions -= earlier.Submissions
	c.Dispatches -= earlier.Dispatches
	c.ReadBacks -= earlier.ReadBacks
	c.ReadBytes -= earlier.ReadBytes
	c.Traffic -= earlier.Traffic
	c.Streamed -= earlier.Streamed
	return c
}

// Counted is implemented by executables that count.
type Counted interface{ Counters() Counters }
