package engine

import (
	"io"

	"github.com/ledge-run/ledge/runtime/sched"
)

// Fork makes a session that goes on from the same place.
func (s *Session) Fork() *Session {
	f := &Session{m: s.m}
	if s.stream != nil {
		f.stream = s.stream.Fork()
	}
	return f
}

// Save writes the session's cache.
func (s *Session) Save(w io.Writer) error {
	class, err := s.m.className()
	if err != nil {
		return err
	}
	st := s.stream
	if st == nil {
		st = s.m.sched.NewStream(nil)
		defer st.Close()
	}
	return st.Save(w, class)
}

// Load replaces the session's cache by what Save wrote.
func (s *Session) Load(r io.Reader) error {
	class, err := s.m.className()
	if err != nil {
		return err
	}
	st := s.m.sched.NewStream(nil)
	if err := st.Load(r, class); err != nil {
		st.Close()
		if s.m.closing.Load() {
			return sched.ErrClosed // the data was compared with a state that is gone
		}
		return err
	}
	s.Close()
	s.stream = st
	return nil
}
