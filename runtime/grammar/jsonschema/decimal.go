package jsonschema

import (
	"strconv"
	"strings"
)

// decimal is a number in its digits: whole has no leading zeros, except to be "0",
// fraction none at its end.
type decimal struct {
	negative        bool
	whole, fraction string
}

// parseDecimal reads a number that checkNumber has let pass.
func parseDecimal(text string) decimal {
	var d decimal
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		d.negative, text = true, rest
	}
	mantissa, exp, _ := strings.Cut(strings.ToLower(text), "e")
	shift, _ := strconv.Atoi(exp) // checked, or empty
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if shift > 0 {
		fraction += strings.Repeat("0", max(0, shift-len(fraction)))
		whole, fraction = whole+fraction[:shift], fraction[shift:]
	}
	if shift < 0 {
		whole = strings.Repeat("0", -shift) + whole
		at := len(whole) + shift
		whole, fraction = whole[:at], whole[at:]+fraction
	}
	d.whole, d.fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if d.whole == "" {
		d.whole = "0"
	}
	if d.zero() {
		d.negative = false
	}
	return d
}

func (d decimal) zero() bool { return d.whole == "0" && d.fraction == "" }

// compareDecimals is negative, 0 or positive as a is less than, equal to or greater than b.
func compareDecimals(a, b decimal) int {
	if a.negative != b.negative {
		if a.negative {
			return -1
		}
		return 1
	}
	c := len(a.whole) - len(b.whole)
	if c == 0 {
		c = strings.Compare(a.whole, b.whole)
	}
	if c == 0 {
		c = strings.Compare(a.fraction, b.fraction) // no zeros at the end: as digits
	}
	if a.negative {
		return -c
	}
	return c
}
