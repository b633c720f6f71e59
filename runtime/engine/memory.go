package engine

// Memory is what a model holds on its devices, in bytes.
type Memory struct {
	Weights int64 `json:"weights"` // as they are packed, without what is read in the file's mapping
	Cache   int64 `json:"cache"`   // keys and values of the whole context
	Arena   int64 `json:"arena"`   // values between operations, for the largest batch
}

// Total is all of it.
func (m Memory) Total() int64 { return m.Weights + m.Cache + m.Arena }

// Memory tells what the model holds for generating. It waits for a run in progress.
func (m *Model) Memory() (so Memory) {
	r := m.current()
	m.state.mu.Lock()
	defer m.state.mu.Unlock()
	for _, w := range r.weights {
		if w != nil {
			so.Weights += w.Bytes()
		}
	}
	so.Cache = int64(r.states.PageBytes()) * int64(m.pages())
	for _, s := range r.exec[last] {
		so.Arena += int64(s.arena)
	}
	return so
}
