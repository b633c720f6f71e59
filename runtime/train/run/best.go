package run

import "slices"

// isBest reports whether a record is of a step that the model could be of, with
// export.best, and better than the best one so far. Only steps count that a run in one
// piece validates, and of weights that are trained rounded only those that were.
func (x *running) isBest(rec Record) bool {
	r := x.plan.r
	return r.Export.Best && rec.Valid != nil && x.due(rec.Step) &&
		(r.Round == nil || rec.Step > r.Round.FromStep) && (x.best == nil || *rec.Valid < *x.best.Valid)
}

// consider keeps the step of a record if it is the best one so far.
func (x *running) consider(rec Record) error {
	if !x.isBest(rec) {
		return nil
	}
	x.best, x.store.Spare = &rec, rec.Step
	return x.keep()
}

// findBest finds the best step of those before, of which there is a checkpoint still.
func (x *running) findBest() error {
	if !x.plan.r.Export.Best {
		return nil
	}
	steps, err := x.store.Steps()
	if err != nil {
		return err
	}
	for _, rec := range x.log.all {
		if slices.Contains(steps, rec.Step) && x.isBest(rec) {
			x.best, x.store.Spare = &rec, rec.Step
		}
	}
	return nil
}
