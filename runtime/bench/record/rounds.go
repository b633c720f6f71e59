package record

import "slices"

// Cases are the names of cases in the order in which they first come up.
func Cases(all []Record) []string {
	var names []string
	for i := range all {
		if !slices.Contains(names, all[i].Case) {
			names = append(names, all[i].Case)
		}
	}
	return names
}

// Rounds are the records of a case.
func Rounds(all []Record, name string) []*Record {
	var some []*Record
	for i := range all {
		if all[i].Case == name {
			some = append(some, &all[i])
		}
	}
	return some
}

// Quiet are the rounds that nothing disturbed. Whether the others count, too, is for
// who asks: a summary takes all if less than half were quiet, a receipt is held against
// the quiet ones if there are any.
func Quiet(all []*Record) []*Record {
	return slices.DeleteFunc(slices.Clone(all), func(r *Record) bool { return len(r.Disturbed) > 0 })
}

// Disturbances are those of rounds, each once.
func Disturbances(all []*Record) []string {
	var why []string
	for _, r := range all {
		for _, d := range r.Disturbed {
			if !slices.Contains(why, d) {
				why = append(why, d)
			}
		}
	}
	return why
}
