package main

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/ledge-run/ledge/runtime/home"
	"github.com/ledge-run/ledge/runtime/home/generate"
)

var (
	// atHour is "at" with a number and nothing that says what it counts.
	atHour = regexp.MustCompile(`\bat (\d+)(?:$|[,.?!]| please| in the [a-z]+ ?[a-z]*$| on the [a-z]+$)`)
	// digits are the numbers of a prompt.
	digits = regexp.MustCompile(`\d+(?:\.\d+)?`)
	// parts are said without digits.
	parts = regexp.MustCompile(`half|third|quarter|半|成|分之`)
)

// oneReading reports whether the numbers of a sentence can be read in one way only: "at 6" is
// a time of day and no amount, and the number of an amount stands in the prompt as it is. The
// grammar makes some that are not so: "the radio on at 10", 10 % loud, and numbers that
// run into a unit ("sevenC") or into the next number.
func oneReading(e generate.Example) bool {
	v, err := home.ParseValue(e.Command.Value)
	if err != nil || v.Unit == "" {
		return err == nil
	}
	prompt := home.Prompt(e.Text)
	if m := atHour.FindStringSubmatch(prompt[:len(prompt)-1]); m != nil && v.Clock == "" {
		if hour, err := strconv.Atoi(m[1]); err == nil && hour <= 12 {
			return false
		}
	}
	if parts.MatchString(prompt) {
		return true
	}
	number := strconv.FormatFloat(max(v.Number, -v.Number), 'f', -1, 64)
	stand := digits.FindAllString(prompt, -1)
	return len(stand) == 0 || slices.Contains(stand, number)
}
