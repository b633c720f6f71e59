package chat

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// strftime formats a time as Python's datetime.strftime does in the C locale.
// "%-d" and the like drop the padding, as the C library of Linux has it.
func strftime(t time.Time, format string) (string, error) {
	if len(format) > 1000 {
		return "", fmt.Errorf("strftime_now: the format is longer than 1000 bytes")
	}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		i++
		plain := i < len(format) && format[i] == '-'
		if plain {
			i++
		}
		if i >= len(format) {
			return "", fmt.Errorf("strftime_now: the format ends within a conversion")
		}
		s, ok := timeField(t, format[i])
		if !ok {
			return "", fmt.Errorf("strftime_now: unknown conversion %%%c", format[i])
		}
		if plain && len(s) > 1 {
			s = strings.TrimLeft(s[:len(s)-1], "0 ") + s[len(s)-1:]
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

func timeField(t time.Time, c byte) (string, bool) {
	layouts := map[byte]string{
		'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January",
		'd': "02", 'e': "_2", 'H': "15", 'I': "03", 'm': "01", 'M': "04", 'p': "PM",
		'S': "05", 'y': "06", 'Y': "2006", 'j': "002",
		'F': "2006-01-02", 'T': "15:04:05", 'X': "15:04:05", 'R': "15:04",
		'D': "01/02/06", 'x': "01/02/06", 'c': "Mon Jan _2 15:04:05 2006",
	}
	if l, ok := layouts[c]; ok {
		return t.Format(l), true
	}
	switch c {
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	case 's':
		return strconv.FormatInt(t.Unix(), 10), true
	case 'u':
		return strconv.Itoa((int(t.Weekday())+6)%7 + 1), true
	case 'w':
		return strconv.Itoa(int(t.Weekday())), true
	case 'V':
		_, week := t.ISOWeek()
		return fmt.Sprintf("%02d", week), true
	case 'G':
		year, _ := t.ISOWeek()
		return strconv.Itoa(year), true
	case 'z', 'Z':
		return "", true // the time transformers gives has no zone
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case '%':
		return "%", true
	}
	return "", false
}
