package engine

import "strings"

// stopper watches text for stop strings. It holds back what may be the
// beginning of one.
type stopper struct {
	stops   []string
	held    string
	stopped bool
}

func newStopper(stops []string) *stopper {
	s := &stopper{}
	for _, t := range stops {
		if t != "" {
			s.stops = append(s.stops, t)
		}
	}
	return s
}

// push adds text and returns what is free to be shown; stopped reports that a
// stop string came, which is not shown.
func (s *stopper) push(text string) (show string, stopped bool) {
	if s.stopped {
		return "", true
	}
	s.held += text
	first := -1
	for _, t := range s.stops {
		if i := strings.Index(s.held, t); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	if first >= 0 {
		show, s.held, s.stopped = s.held[:first], "", true
		return show, true
	}
	keep := 0
	for _, t := range s.stops {
		for n := min(len(t)-1, len(s.held)); n > keep; n-- {
			if strings.HasSuffix(s.held, t[:n]) {
				keep = n
				break
			}
		}
	}
	show, s.held = s.held[:len(s.held)-keep], s.held[len(s.held)-keep:]
	return show, false
}

// flush gives what was held back.
func (s *stopper) flush() string {
	t := s.held
	s.held = ""
	return t
}
