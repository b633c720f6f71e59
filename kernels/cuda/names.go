package cuda

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Most of what PTX says is which registers an instruction takes, by numbers that grow
// through a kernel: alike code has other numbers everywhere, and compresses badly. In
// an archive a register is written as it is related to the highest of its class so far:
// &r is the next one, &r3 the one three below the highest. Labels, which begin with
// Label, are a class, &L. gen numbers both as they come, so that "the next one" is
// nearly every new one. With that the archives have a third of the bytes.

// Label begins the names of labels in the PTX of this build: $L1, $L2, ...
const Label = "$L"

// nameAt reads a register or label at the beginning of text: its class (the letters of
// a register, or Label), its number, and the bytes that it takes; 0 if there is none.
// What follows must not go on with the name, and a number has no leading zeros.
func nameAt(text []byte) (class string, number, size int) {
	switch {
	case bytes.HasPrefix(text, []byte(Label)):
		class, size = Label, len(Label)
	case len(text) > 0 && text[0] == '%':
		for size = 1; size < len(text) && text[size] >= 'a' && text[size] <= 'z'; size++ {
		}
		if class = string(text[1:size]); class == "" {
			return "", 0, 0
		}
	default:
		return "", 0, 0
	}
	from := size
	for size < len(text) && size-from < 9 && digit(text[size]) {
		number = number*10 + int(text[size]-'0')
		size++
	}
	if size == from || text[from] == '0' && size-from > 1 || size < len(text) && inName(text[size]) {
		return "", 0, 0
	}
	return class, number, size
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

func inName(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || digit(b) || b == '_' || b == '$'
}

const relative = '&' // begins a name that is related to others

// relate writes names by their distances.
func relate(text []byte) ([]byte, error) {
	if bytes.IndexByte(text, relative) >= 0 {
		return nil, fmt.Errorf("the code has a %q, which stands for names in archives", relative)
	}
	highest := map[string]int{}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		class, n, size := nameAt(text[i:])
		switch {
		case size == 0:
			out = append(out, text[i])
			i++
			continue
		case n > highest[class]+1: // as it is, and no other is related to it
			out = append(out, text[i:i+size]...)
		default:
			out = append(out, relative)
			if class == Label {
				out = append(out, 'L')
			} else {
				out = append(out, class...)
			}
			if n == highest[class]+1 {
				highest[class] = n
			} else {
				out = strconv.AppendInt(out, int64(highest[class]-n), 10)
			}
		}
		i += size
	}
	return out, nil
}

// restore gives back what relate was given.
func restore(text []byte) ([]byte, error) {
	highest := map[string]int{}
	out := make([]byte, 0, len(text)*5/4)
	for {
		at := bytes.IndexByte(text, relative)
		if at < 0 {
			return append(out, text...), nil
		}
		out = append(out, text[:at]...)
		text = text[at+1:]
		size := 0
		for size < len(text) && (text[size] >= 'a' && text[size] <= 'z' || text[size] == 'L') {
			size++
		}
		class := string(text[:size])
		if class == "L" {
			class = Label
			out = append(out, Label...)
		} else {
			out = append(append(out, '%'), class...)
		}
		text = text[size:]
		for size = 0; size < len(text) && size < 9 && digit(text[size]); size++ {
		}
		n := highest[class] + 1
		if size == 0 {
			highest[class] = n
		} else if back, err := strconv.Atoi(string(text[:size])); err != nil || back >= n {
			return nil, errors.New("a name is related to one that is not there")
		} else {
			n += -1 - back
		}
		text = text[size:]
		out = strconv.AppendInt(out, int64(n), 10)
	}
}
