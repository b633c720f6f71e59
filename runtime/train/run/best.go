package run

import (
	"cmp"
	"fmt"
	"slices"
)

// couldBeBest reports whether a record is of a step that the model could be of, with
// export.best. Only steps count that a run in one piece validates, on the data of now, and
// of weights that are trained rounded only those that were.
func (x *running) couldBeBest(rec Record) bool {
	r := x.plan.r
	return r.Export.Best && rec.Valid != nil && rec.ValidOf == x.validOf && x.due(rec.Step) && (r.Round == nil || rec.Step > r.Round.FromStep)
}

// consider keeps the step of a record if it is the best one so far.
func (x *running) consider(rec Record) error {
	if !x.couldBeBest(rec) || x.best != nil && *rec.Valid >= *x.best.Valid {
		return nil
	}
	x.best, x.store.Spare = &rec, rec.Step
	return x.keep()
}

// findBest finds the best step of those before, of which there is a whole checkpoint still.
func (x *running) findBest() error {
	var all []Record
	for _, rec := range x.log.all {
		if x.couldBeBest(rec) {
			all = append(all, rec)
		}
	}
	slices.SortStableFunc(all, func(a, b Record) int { return cmp.Compare(*a.Valid, *b.Valid) })
	for i, rec := range all {
		c, err := x.store.Open(rec.Step)
		if err != nil {
			continue // most have been removed: they were not the best, or are of before best was asked for
		}
		if err := c.Close(); err != nil {
			return err
		}
		if i > 0 {
			x.o.Note(fmt.Sprintf("export: best: of step %d, which was better, there is no whole checkpoint: the best one is now %d", all[0].Step, rec.Step))
		}
		x.best, x.store.Spare = &rec, rec.Step
		return nil
	}
	return nil
}
