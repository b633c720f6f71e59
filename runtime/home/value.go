package home

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Unit is what a value's number counts.
type Unit string

// The units of numbers. A level is a plain number: a speed, a channel.
const (
	Percent    Unit = "%"
	Celsius    Unit = "C"
	Fahrenheit Unit = "F"
	Kelvin     Unit = "K"
	Level      Unit = "#" // written without a sign
)

// bounds of the numbers, and the steps they come in.
var bounds = map[Unit]struct{ low, high, step float64 }{
	Percent:    {0, 100, 1},
	Celsius:    {-30, 300, 0.5},
	Fahrenheit: {-20, 575, 0.5},
	Kelvin:     {1500, 9000, 1},
	Level:      {0, 999, 1},
}

// MaxDuration is the longest delay or duration.
const MaxDuration = 48*time.Hour - time.Second

// Value is a command's value taken apart: an amount, a time, both or neither.
// The amount is a word or a number with its unit; the time is a moment (Clock
// with or without Day), a delay from now, or how long something lasts.
type Value struct {
	Word   string
	Number float64
	Unit   Unit // "" without a number

	Day   string // one of Days, or ""
	Clock string // "06:30", "sunrise" or "sunset"
	Delay time.Duration
	For   time.Duration
}

// Empty reports whether a value says nothing.
func (v Value) Empty() bool { return v == Value{} }

// Timed reports whether a value says when or for how long.
func (v Value) Timed() bool { return v.Clock != "" || v.Delay != 0 || v.For != 0 }

// String is the one way a value is written: "40%", "21.5C @06:30", "+10m",
// "tomorrow@07:00", "180C 1h30m".
func (v Value) String() string {
	var parts []string
	switch {
	case v.Word != "":
		parts = append(parts, v.Word)
	case v.Unit == Level:
		parts = append(parts, strconv.FormatFloat(v.Number, 'f', -1, 64))
	case v.Unit != "":
		parts = append(parts, strconv.FormatFloat(v.Number, 'f', -1, 64)+string(v.Unit))
	}
	switch {
	case v.Clock != "":
		parts = append(parts, v.Day+"@"+v.Clock)
	case v.Delay != 0:
		parts = append(parts, "+"+duration(v.Delay))
	case v.For != 0:
		parts = append(parts, duration(v.For))
	}
	return strings.Join(parts, " ")
}

// duration is written with the largest units first, without zeros: 1h30m.
func duration(d time.Duration) string {
	var b strings.Builder
	for _, u := range []struct {
		size time.Duration
		sign byte
	}{{time.Hour, 'h'}, {time.Minute, 'm'}, {time.Second, 's'}} {
		if n := d / u.size; n > 0 {
			b.WriteString(strconv.Itoa(int(n)))
			b.WriteByte(u.sign)
			d -= n * u.size
		}
	}
	return b.String()
}

// ParseValue reads a value and refuses what is not written as String writes it.
func ParseValue(s string) (Value, error) {
	var v Value
	if s == "" {
		return v, nil
	}
	amount, when, two := strings.Cut(s, " ")
	if !two && !v.amount(amount) {
		amount, when = "", s
	}
	if two && !v.amount(amount) {
		return Value{}, fmt.Errorf("value %q: %q is no amount; write a word of the list, 40%%, 21.5C, 70F, 4000K or 3", s, amount)
	}
	if when != "" && !v.when(when) {
		return Value{}, fmt.Errorf("value %q: %q is no time; write @06:30, tomorrow@07:00, @sunset, +10m or 1h30m", s, when)
	}
	if v.Unit != "" {
		if b := bounds[v.Unit]; v.Number < b.low || v.Number > b.high {
			return Value{}, fmt.Errorf("value %q: %g is not between %g and %g", s, v.Number, b.low, b.high)
		}
	}
	if w := v.String(); w != s {
		return Value{}, fmt.Errorf("value %q is written %q", s, w)
	}
	return v, nil
}

// amount reads a word or a number with its unit.
func (v *Value) amount(s string) bool {
	if slices.Contains(Words, s) {
		v.Word = s
		return true
	}
	if s == "" {
		return false
	}
	number, unit := s[:len(s)-1], Unit(s[len(s)-1:])
	if c := s[len(s)-1]; c >= '0' && c <= '9' {
		number, unit = s, Level
	}
	b, known := bounds[unit]
	if !known || strings.Trim(number, "-.0123456789") != "" || len(number) > 6 {
		return false
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n/b.step != float64(int(n/b.step)) || n == 0 && number != "0" { // -0 is a number of its own
		return false
	}
	v.Number, v.Unit = n, unit
	return true
}

// when reads a moment, a delay or a duration.
func (v *Value) when(s string) bool {
	if day, clock, is := strings.Cut(s, "@"); is {
		if day != "" && !slices.Contains(Days, day) {
			return false
		}
		if clock != "sunrise" && clock != "sunset" {
			if t, err := time.Parse("15:04", clock); err != nil || t.Format("15:04") != clock {
				return false
			}
		}
		v.Day, v.Clock = day, clock
		return true
	}
	text, delay := strings.CutPrefix(s, "+")
	if text == "" || strings.Trim(text, "0123456789hms") != "" {
		return false
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > MaxDuration {
		return false
	}
	if delay {
		v.Delay = d
	} else {
		v.For = d
	}
	return true
}
