package segment

import "math"

// The places of a character in a word.
const (
	begin = iota
	middle
	end
	alone
	numPlaces
)

// markov is a hidden Markov model of places.
type markov struct {
	emit  map[rune]*[numPlaces]float64 // counts, then logarithms
	sums  [numPlaces]float64
	trans [numPlaces][numPlaces]float64
	multi float64 // words of several characters
}

// count counts a dictionary word.
func (m *markov) count(word []rune, times float64) {
	if m.emit == nil {
		m.emit = map[rune]*[numPlaces]float64{}
	}
	for i, r := range word {
		place := middle
		switch {
		case len(word) == 1:
			place = alone
		case i == 0:
			place = begin
		case i == len(word)-1:
			place = end
		}
		e := m.emit[r]
		if e == nil {
			e = new([numPlaces]float64)
			m.emit[r] = e
		}
		e[place] += times
		m.sums[place] += times
	}
	switch n := len(word); {
	case n == 2:
		m.trans[begin][end] += times
	case n > 2:
		m.trans[begin][middle] += times
		m.trans[middle][end] += times
		m.trans[middle][middle] += times * float64(n-3)
	}
	if len(word) > 1 {
		m.multi += times
	}
}

const never = -1e30

// finish makes logarithms of the counts.
func (m *markov) finish() {
	// A word is followed by words as they are frequent.
	for _, from := range []int{end, alone} {
		m.trans[from][begin], m.trans[from][alone] = m.multi, m.sums[alone]
	}
	for from := range m.trans {
		sum := 0.0
		for _, v := range m.trans[from] {
			sum += v
		}
		for to, v := range m.trans[from] {
			if m.trans[from][to] = never; v > 0 {
				m.trans[from][to] = math.Log(v / sum)
			}
		}
	}
	for _, e := range m.emit {
		for p, v := range e {
			e[p] = math.Log((v + 0.1) / (m.sums[p] + 1000))
		}
	}
}

// divide divides characters by the most probable sequence of places (Viterbi).
func (m *markov) divide(s string, emit func(string)) {
	runes := []rune(s)
	n := len(runes)
	back := make([][numPlaces]int8, n)
	var score [numPlaces]float64
	for i, r := range runes {
		var now [numPlaces]float64
		for p := range numPlaces {
			e := -20.0 // a character no word has
			if known := m.emit[r]; known != nil {
				e = known[p]
			}
			if i == 0 {
				if now[p] = never; p == begin || p == alone {
					now[p] = m.trans[end][p] + e
				}
				continue
			}
			now[p] = math.Inf(-1)
			for q := range numPlaces {
				if v := score[q] + m.trans[q][p] + e; v > now[p] {
					now[p], back[i][p] = v, int8(q)
				}
			}
		}
		score = now
	}
	last := end
	if score[alone] > score[end] {
		last = alone
	}
	places := make([]int, n)
	for i := n - 1; i >= 0; i-- {
		places[i] = last
		last = int(back[i][last])
	}
	start := 0
	for i, p := range places {
		if p == end || p == alone || i == n-1 {
			emit(string(runes[start : i+1]))
			start = i + 1
		}
	}
}
