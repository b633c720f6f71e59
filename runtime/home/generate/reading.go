package generate

import (
	"math"
	"regexp"
	"slices"
	"strconv"

	"github.com/ledge-run/ledge/runtime/home"
)

var (
	// loneHour is "at" with a number and nothing that says what it counts.
	loneHour = regexp.MustCompile(`\bat (\d+)(?:$|[,.?!]| please| in the [a-z]+ ?[a-z]*$| on the [a-z]+$)`)
	// numeral is a number of a prompt.
	numeral = regexp.MustCompile(`\d+(?:\.\d+)?`)
	// clock is a time of day of a prompt.
	clock = regexp.MustCompile(`\d+:\d\d`)
	// fraction is what is said without them.
	fraction = regexp.MustCompile(`half|third|quarter|半|[\d一两二三]成|分之`)
)

// oneReading reports whether the numbers of a sentence can be read in one way only: "at 6" is
// a time of day and no amount, and the number of an amount stands in the prompt as it is (or,
// of an opening, how far it is closed), unless it is one that words stand for. The grammar makes
// some that are not so: "the radio on at 10", 10 % loud, and numbers that run into the next one.
func oneReading(e Example) bool {
	v, err := home.ParseValue(e.Command.Value)
	if err != nil || v.Unit == "" {
		return err == nil
	}
	prompt := home.Prompt(e.Text)
	if m := loneHour.FindStringSubmatch(prompt[:len(prompt)-1]); m != nil && v.Clock == "" {
		if hour, err := strconv.Atoi(m[1]); err == nil && hour <= 12 {
			return false
		}
	}
	if fraction.MatchString(prompt) || v.Number > 0 && v.Number <= 3 {
		return true
	}
	stand := numeral.FindAllString(clock.ReplaceAllString(prompt, " "), -1)
	says := func(n float64) bool { return slices.Contains(stand, strconv.FormatFloat(math.Abs(n), 'f', -1, 64)) }
	return len(stand) == 0 || says(v.Number) || v.Unit == home.Percent && says(100-v.Number)
}
