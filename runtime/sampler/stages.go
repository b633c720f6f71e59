package sampler

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

var (
	// ErrBadLogits is wrapped by the error for logits from which no token can
	// be drawn: all NaN or -Inf, or one of them +Inf.
	ErrBadLogits = errors.New("bad logits")
	// ErrNoneAllowed is wrapped by the error for a constraint, or logit
	// biases, that leave no token.
	ErrNoneAllowed = errors.New("no token allowed")

	// errNeedFull leaves the pipeline when the outcome depends on tokens that
	// are not among the candidates. It never reaches the caller.
	errNeedFull = errors.New("the full row is needed")
)

// run applies the constraint and the planned stages to s.cur. On success the
// set is closed and not empty, and begins with items.
func (s *Sampler) run(d draws) error {
	s.collect()
	defer s.release()
	masked, err := s.mask()
	if err != nil {
		return err
	}
	for _, st := range s.plan {
		if s.cur.row == nil && len(s.cur.items) == 0 {
			return s.empty(masked)
		}
		if err := s.apply(st, d); err != nil {
			return err
		}
	}
	if err := s.head(); err != nil {
		return err
	}
	if len(s.cur.items) == 0 {
		return s.empty(masked)
	}
	if s.cur.open {
		return errNeedFull
	}
	return nil
}

// headSize is how many of a row's best tokens are tried before the whole row
// is turned into items.
const headSize = 256

// head makes a row begin with items: its best tokens, in order.
func (s *Sampler) head() error {
	t := &s.cur
	if t.row == nil || len(t.items) > 0 {
		return nil
	}
	s.itemBuf = selectTop(s.itemBuf, t.row, min(headSize, len(t.row)))
	t.items, t.sorted = s.itemBuf, len(s.itemBuf)
	if len(t.items) == 0 {
		return nil
	}
	return checkTop(t.items[0].logit())
}

func (s *Sampler) empty(masked bool) error {
	switch {
	case s.cur.open:
		return errNeedFull
	case masked:
		return fmt.Errorf("sampler: %w: every token that the constraint allows has a logit of NaN or -Inf", ErrNoneAllowed)
	case len(s.bias) > 0:
		return fmt.Errorf("sampler: %w: with the logit biases every logit is NaN or -Inf", ErrNoneAllowed)
	}
	return fmt.Errorf("sampler: %w: every logit is NaN or -Inf", ErrBadLogits)
}

func (s *Sampler) apply(st Stage, d draws) error {
	t := &s.cur
	switch st {
	case stageBias, StagePenalties, StageDRY:
		s.adjust(st)
		return nil
	case StageTopNSigma:
		return s.topNSigma()
	case StageTopK:
		return s.topK(s.params.TopK)
	case StageMinP:
		return s.minP()
	case StageTemperature:
		if s.params.Temperature == 0 {
			return s.topK(1)
		}
		t.scale = min(t.scale/s.params.Temperature, maxScale)
		t.tailLo, t.tailHi = 0, math.Inf(1)
		return nil
	}
	// The others look at probabilities.
	if err := s.head(); err != nil || len(t.items) == 0 {
		return err // the row's emptiness shows at its end
	}
	switch st {
	case StageTypical:
		return s.typical()
	case StageTopP:
		return s.topP()
	case StageXTC:
		if d.xtc < s.params.XTC.Probability {
			return s.xtc()
		}
	}
	return nil
}

// ownRow makes t.row a copy that may be written to.
func (s *Sampler) ownRow() {
	if len(s.rowBuf) > 0 && len(s.cur.row) > 0 && &s.cur.row[0] == &s.rowBuf[0] {
		return
	}
	s.rowBuf = append(s.rowBuf[:0], s.cur.row...)
	s.cur.row = s.rowBuf
}

// fill replaces the row by items, chosen by one of the select functions.
func (s *Sampler) fill(items []item, sorted bool) error {
	s.itemBuf = items
	t := &s.cur
	t.row, t.items, t.sorted = nil, items, 0
	if sorted {
		t.sorted = len(items)
	}
	if sorted && len(items) > 0 {
		return checkTop(items[0].logit())
	}
	return nil
}

func checkTop(top float32) error {
	if top > math.MaxFloat32 {
		return fmt.Errorf("sampler: %w: a logit is +Inf", ErrBadLogits)
	}
	return nil
}

// toItems turns a row into items.
func (s *Sampler) toItems() {
	if t := &s.cur; t.row != nil {
		s.itemBuf = selectAbove(s.itemBuf, t.row, math.Inf(-1))
		t.row, t.items, t.sorted = nil, s.itemBuf, 0
	}
}

// at returns the i-th best token of a set that has been through head, if there
// are as many.
func (s *Sampler) at(i int) (item, bool) {
	t := &s.cur
	if i >= t.sorted {
		if i >= len(t.items) {
			s.toItems()
		}
		t.sort(i + 1)
		if i >= len(t.items) {
			return 0, false
		}
	}
	return t.items[i], true
}

// mask removes what the constraint does not allow, and reports whether it
// removed anything.
func (s *Sampler) mask() (bool, error) {
	if s.constraint == nil {
		return false, nil
	}
	clear(s.allowed)
	if err := s.constraint.Mask(s.allowed); err != nil {
		return false, fmt.Errorf("sampler: the constraint's mask: %w", err)
	}
	if tail := s.vocab % 64; tail != 0 {
		s.allowed[len(s.allowed)-1] &= 1<<tail - 1
	}
	n := 0
	for _, w := range s.allowed {
		n += bits.OnesCount64(w)
	}
	t := &s.cur
	switch {
	case n == 0:
		return true, fmt.Errorf("sampler: %w: the constraint forbids every token", ErrNoneAllowed)
	case n == s.vocab:
		return false, nil
	case t.row == nil:
		s.maskItems(n)
	case n <= s.vocab/16:
		items := s.itemBuf[:0]
		top := negInf
		for i, w := range s.allowed {
			for ; w != 0; w &= w - 1 {
				id := int32(i*64 + bits.TrailingZeros64(w))
				if v := t.row[id]; v > negInf {
					items = append(items, makeItem(id, v))
					top = max(top, v)
				}
			}
		}
		if err := checkTop(top); err != nil {
			return true, err
		}
		return true, s.fill(items, false)
	default:
		s.ownRow()
		for i, w := range s.allowed {
			for w = ^w; w != 0; w &= w - 1 {
				if id := i*64 + bits.TrailingZeros64(w); id < s.vocab {
					t.row[id] = negInf
				}
			}
		}
	}
	return true, nil
}

// maskItems keeps the items allowed. n is how many tokens are allowed in all.
func (s *Sampler) maskItems(n int) {
	t := &s.cur
	t.items = slices.DeleteFunc(t.items, func(it item) bool {
		return s.allowed[it.id()/64]>>(it.id()%64)&1 == 0
	})
	t.sorted = min(t.sorted, len(t.items))
	if n == len(t.items) {
		t.open = false // all that is allowed can be seen
	}
	t.tailLo = 0
	t.tailHi = min(t.tailHi, float64(n-len(t.items))*t.floorMass())
}

// topK keeps the k best. An open set's items are all better than what is not
// seen, so k of them are the answer.
func (s *Sampler) topK(k int) error {
	t := &s.cur
	if t.row != nil {
		switch {
		case k == 1:
			best, ok := argmax(t.row)
			items := s.itemBuf[:0]
			if ok {
				items = append(items, best)
			}
			return s.fill(items, true)
		case k <= heapMax:
			return s.fill(selectTop(s.itemBuf, t.row, k), true)
		}
		if err := s.head(); err != nil {
			return err
		}
	}
	if _, ok := s.at(k - 1); ok {
		t.truncate(k)
	} else if t.open {
		return errNeedFull
	}
	return nil
}

// keepAbove keeps the tokens with a logit of at least bar.
func (s *Sampler) keepAbove(bar float64) error {
	t := &s.cur
	if t.row != nil {
		return s.fill(selectAbove(s.itemBuf, t.row, bar), false)
	}
	if t.open && float64(t.floor) >= bar {
		// Some tokens that can't be seen may stay; the items do anyway.
		t.tailLo = 0
		return nil
	}
	t.items = slices.DeleteFunc(t.items, func(it item) bool { return float64(it.logit()) < bar })
	t.sorted = min(t.sorted, len(t.items))
	t.open = false
	return nil
}

// minP: p >= MinP * p(best), that is l >= l(best) + T ln MinP.
func (s *Sampler) minP() error {
	t := &s.cur
	var top float32
	if t.row != nil {
		top = maxLogit(t.row)
	} else {
		top = t.best().logit()
	}
	if err := checkTop(top); err != nil {
		return err
	}
	return s.keepAbove(float64(top) + float64(s.lnMinP/t.scale))
}

// topNSigma: l >= max - N * (standard deviation of all finite logits).
func (s *Sampler) topNSigma() error {
	t := &s.cur
	if t.open {
		return errNeedFull
	}
	var top float32
	var variance float64
	if t.row != nil {
		top = maxLogit(t.row)
		if err := checkTop(top); err != nil {
			return err
		}
		_, _, variance = moments(t.row)
	} else {
		t.canonical()
		top = t.best().logit()
		mean := 0.0
		for _, it := range t.items {
			mean += float64(it.logit())
		}
		mean /= float64(len(t.items))
		for _, it := range t.items {
			d := float64(it.logit()) - mean
			variance += float64(d * d)
		}
		variance /= float64(len(t.items))
	}
	return s.keepAbove(float64(top) - float64(s.params.TopNSigma*math.Sqrt(variance)))
}

// topP keeps the fewest best tokens whose weights reach TopP of the total.
func (s *Sampler) topP() error {
	t := &s.cur
	if t.open {
		return s.topPOpen()
	}
	top := t.best().logit()
	target := float64(s.params.TopP * float64(t.total()))
	var cum uint64
	for i := 0; ; i++ {
		it, ok := s.at(i)
		if !ok {
			return nil
		}
		cum += weight(t.x(it, top))
		if float64(cum) >= target {
			t.truncate(i + 1)
			return nil
		}
	}
}

// topPOpen finds where the cut would be if the unseen tokens weighed as little
// and as much as they may. The two must agree.
func (s *Sampler) topPOpen() error {
	t := &s.cur
	if !t.weighs() {
		return errNeedFull
	}
	t.sort(len(t.items))
	seen := 0.0
	for _, it := range t.items {
		seen += t.mass(it)
	}
	lo := float64(s.params.TopP*(seen+t.tailLo)) * (1 - openSlack)
	hi := float64(s.params.TopP*(seen+t.tailHi)) * (1 + openSlack)
	cum := 0.0
	for i, it := range t.items {
		cum += t.mass(it)
		if cum >= lo {
			if cum >= hi {
				t.truncate(i + 1)
				return nil
			}
			break
		}
	}
	return errNeedFull
}

// openSlack covers the rounding of weights to 2^-43 of the best one's, over
// maxVocab tokens.
const openSlack = 2e-7

// typical keeps the tokens whose surprise -ln p is closest to the entropy,
// until their weights reach Typical of the total. The logarithm of the total
// cancels: with x = ln p + const, the distance is |mean of x under p - x|.
func (s *Sampler) typical() error {
	t := &s.cur
	if t.open {
		return errNeedFull
	}
	s.toItems()
	t.canonical()
	top := t.best().logit()
	var z uint64
	mean := 0.0
	for _, it := range t.items {
		x := t.x(it, top)
		w := weight(x)
		z += w
		mean += float64(float64(w) * x)
	}
	mean /= float64(z)
	// Order the items' indices by distance, with the same machinery.
	s.distBuf = s.distBuf[:0]
	for i, it := range t.items {
		s.distBuf = append(s.distBuf, makeItem(int32(i), finite(-math.Abs(mean-t.x(it, top)))))
	}
	var dist tokens
	dist.items = s.distBuf
	target := float64(s.params.Typical * float64(z))
	var cum uint64
	for i := range dist.items {
		dist.sort(i + 1)
		it := t.items[dist.items[i].id()]
		dist.items[i] = it // its place in the order is not needed any more
		cum += weight(t.x(it, top))
		if float64(cum) >= target {
			dist.items = dist.items[:i+1]
			break
		}
	}
	t.items, t.sorted = append(t.items[:0], dist.items...), 0
	return nil
}

// xtc removes all but the least likely of the tokens that reach the threshold.
func (s *Sampler) xtc() error {
	t := &s.cur
	n := 0
	if t.open {
		if !t.weighs() {
			return errNeedFull
		}
		t.sort(len(t.items))
		seen := 0.0
		for _, it := range t.items {
			seen += t.mass(it)
		}
		lo := float64(s.params.XTC.Threshold*(seen+t.tailLo)) * (1 - openSlack)
		hi := float64(s.params.XTC.Threshold*(seen+t.tailHi)) * (1 + openSlack)
		if t.floorMass() >= lo {
			return errNeedFull
		}
		for n < len(t.items) && t.mass(t.items[n]) >= hi {
			n++
		}
		if n < len(t.items) && t.mass(t.items[n]) >= lo {
			return errNeedFull
		}
	} else {
		top := t.best().logit()
		target := float64(s.params.XTC.Threshold * float64(t.total()))
		for {
			it, ok := s.at(n)
			if !ok || float64(weight(t.x(it, top))) < target {
				break
			}
			n++
		}
	}
	if n > 1 {
		s.toItems()
		t.sort(n)
		t.items = t.items[n-1:]
		t.sorted -= n - 1
	}
	return nil
}
