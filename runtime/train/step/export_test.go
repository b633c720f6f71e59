package step

// SetTaken sets the number of steps taken.
func (t *Trainer) SetTaken(step int) { t.step = step }
