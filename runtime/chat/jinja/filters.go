package jinja

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// filterFunc is what follows "|".
type filterFunc func(st *state, x Value, a *args) (Value, error)

// filters are the filters of jinja2 but for those no chat template has a use
// for (urlize, xmlattr, pprint, random, wordwrap, striptags, filesizeformat),
// and from_json, which some templates expect.
var filters map[string]filterFunc

func init() {
	// Assigned here because map applies filters.
	filters = map[string]filterFunc{
		"abs":         filterAbs,
		"attr":        filterAttr,
		"batch":       filterBatch,
		"capitalize":  textFilter("capitalize", capitalize),
		"center":      filterCenter,
		"count":       filterLength,
		"d":           filterDefault,
		"default":     filterDefault,
		"dictsort":    filterDictsort,
		"e":           filterEscape,
		"escape":      filterEscape,
		"first":       filterFirst,
		"float":       filterFloat,
		"forceescape": filterEscape,
		"format":      filterFormat,
		"from_json":   filterFromJSON,
		"groupby":     filterGroupby,
		"indent":      filterIndent,
		"int":         filterInt,
		"items":       filterItems,
		"join":        filterJoin,
		"last":        filterLast,
		"length":      filterLength,
		"list":        filterList,
		"lower":       textFilter("lower", strings.ToLower),
		"map":         filterMap,
		"max":         extremeFilter("max", 1),
		"min":         extremeFilter("min", -1),
		"reject":      selectFilter("reject", false, false),
		"rejectattr":  selectFilter("rejectattr", true, false),
		"replace":     filterReplace,
		"reverse":     filterReverse,
		"round":       filterRound,
		"safe":        filterString,
		"select":      selectFilter("select", false, true),
		"selectattr":  selectFilter("selectattr", true, true),
		"slice":       filterSlice,
		"sort":        filterSort,
		"string":      filterString,
		"sum":         filterSum,
		"title":       textFilter("title", titleWords),
		"tojson":      filterToJSON,
		"trim":        filterTrim,
		"truncate":    filterTruncate,
		"unique":      filterUnique,
		"upper":       textFilter("upper", strings.ToUpper),
		"urlencode":   filterURLEncode,
		"wordcount":   filterWordcount,
	}
}

// given returns v unless the argument is missing.
func given(v, otherwise Value) Value {
	if v == nil {
		return otherwise
	}
	return v
}

func textFilter(name string, f func(string) string) filterFunc {
	return func(st *state, x Value, a *args) (Value, error) {
		if _, err := a.bind(name, 0); err != nil {
			return nil, err
		}
		s, err := st.str(x)
		if err != nil {
			return nil, err
		}
		return st.mapText(s, f)
	}
}

// titleWords is jinja2's title filter: words begin after blanks and opening
// brackets.
func titleWords(s string) string {
	start := true
	return strings.Map(func(r rune) rune {
		was := start
		start = isSpace(r) || strings.ContainsRune("-({[<", r)
		if was {
			return unicode.ToUpper(r)
		}
		return unicode.ToLower(r)
	}, s)
}

func filterString(st *state, x Value, _ *args) (Value, error) { return st.str(x) }

func filterTrim(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("trim", 0, "chars")
	if err != nil {
		return nil, err
	}
	s, err := st.str(x)
	if err != nil {
		return nil, err
	}
	return st.strip(s, p[0], true, true)
}

func filterReplace(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("replace", 2, "old", "new", "count")
	if err != nil {
		return nil, err
	}
	var texts [3]string
	for i, v := range []Value{x, p[0], p[1]} {
		if texts[i], err = st.str(v); err != nil {
			return nil, err
		}
	}
	if p[2] == None {
		p[2] = nil
	}
	count, err := intArg("replace", p[2], -1)
	if err != nil {
		return nil, err
	}
	return st.replace(texts[0], texts[1], texts[2], count)
}

func filterCenter(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("center", 0, "width")
	if err != nil {
		return nil, err
	}
	s, err := st.str(x)
	if err != nil {
		return nil, err
	}
	return stringMethods["center"](st, s, &args{pos: []Value{given(p[0], int64(80))}})
}

func filterIndent(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("indent", 0, "width", "first", "blank")
	if err != nil {
		return nil, err
	}
	if u, ok := x.(*Undefined); ok {
		return nil, u.err()
	}
	s, err := st.str(x)
	if err != nil {
		return nil, err
	}
	by, ok := p[0].(string)
	if !ok {
		n, err := intArg("indent", p[0], 4)
		if err != nil {
			return nil, err
		}
		if by, err = st.pad("", n, " ", '<'); err != nil {
			return nil, err
		}
	}
	lines, err := st.splitLines(s+"\n", false)
	if err != nil {
		return nil, err
	}
	blank := p[2] != nil && truth(p[2])
	for i, line := range lines {
		if i > 0 && (line != "" || blank) || i == 0 && p[1] != nil && truth(p[1]) {
			if err := st.alloc(len(by) + len(line)); err != nil {
				return nil, err
			}
			lines[i] = by + line
		}
	}
	n := 0
	for _, line := range lines {
		n += len(line)
	}
	return st.joinStrings(lines, "\n", n)
}

func filterTruncate(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("truncate", 0, "length", "killwords", "end", "leeway")
	if err != nil {
		return nil, err
	}
	s, err := st.str(x)
	if err != nil {
		return nil, err
	}
	length, err := intArg("truncate", p[0], 255)
	if err != nil {
		return nil, err
	}
	end, err := textArg("truncate", p[2], "...")
	if err != nil {
		return nil, err
	}
	if p[3] == None {
		p[3] = nil
	}
	leeway, err := intArg("truncate", p[3], 5)
	if err != nil {
		return nil, err
	}
	keep := length - int64(utf8.RuneCountInString(end))
	if keep < 0 || leeway < 0 {
		return nil, errors.New("truncate: the length is less than that of the end mark")
	}
	if err := st.alloc(len(s) + len(end)); err != nil {
		return nil, err
	}
	if n := int64(utf8.RuneCountInString(s)); n <= length || n-length <= leeway {
		return s, nil
	}
	cut := s[:byteOffset(s, int(keep))]
	if p[1] == nil || !truth(p[1]) {
		if i := strings.LastIndexByte(cut, ' '); i >= 0 {
			cut = cut[:i]
		}
	}
	return cut + end, nil
}

func filterWordcount(st *state, x Value, _ *args) (Value, error) {
	s, err := st.str(x)
	if err != nil {
		return nil, err
	}
	n, in := int64(0), false
	for _, r := range s {
		word := r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r)
		if word && !in {
			n++
		}
		in = word
	}
	return n, st.scan(len(s))
}

func filterEscape(st *state, x Value, _ *args) (Value, error) {
	s, err := st.str(x)
	if err != nil || !strings.ContainsAny(s, `&<>"'`) {
		return s, err
	}
	if err := st.allocN(len(s), 5); err != nil {
		return nil, err
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(s), nil
}

func filterURLEncode(st *state, x Value, _ *args) (Value, error) {
	quote := func(v Value) (string, error) {
		s, err := st.str(v)
		if err != nil {
			return "", err
		}
		if err := st.allocN(len(s), 4); err != nil {
			return "", err
		}
		return url.QueryEscape(s), nil
	}
	d, ok := x.(*Dict)
	if !ok {
		s, err := quote(x)
		return strings.NewReplacer("+", "%20", "%2F", "/").Replace(s), err
	}
	var parts []string
	n := 0
	for i, k := range d.keys {
		ks, err := quote(k)
		if err != nil {
			return nil, err
		}
		vs, err := quote(d.vals[i])
		if err != nil {
			return nil, err
		}
		parts = append(parts, ks+"="+vs)
		n += len(parts[i])
	}
	return st.joinStrings(parts, "&", n)
}

func filterFormat(st *state, x Value, a *args) (Value, error) {
	s, err := st.str(x)
	if err != nil {
		return nil, err
	}
	if len(a.names) == 0 {
		return st.percent(s, &List{items: a.pos, kind: kindTuple})
	}
	if len(a.pos) > 0 {
		return nil, errors.New("format takes positional or named arguments, not both")
	}
	d := NewDict()
	for i, n := range a.names {
		if err := st.dictSet(d, n, a.kw[i]); err != nil {
			return nil, err
		}
	}
	return st.percent(s, d)
}

func filterDefault(_ *state, x Value, a *args) (Value, error) {
	p, err := a.bind("default", 0, "default_value", "boolean")
	if err != nil {
		return nil, err
	}
	_, undefined := x.(*Undefined)
	if undefined || p[1] != nil && truth(p[1]) && !truth(x) {
		return given(p[0], ""), nil
	}
	return x, nil
}

func filterAbs(_ *state, x Value, _ *args) (Value, error) {
	i, f, isFloat, ok := number(x)
	switch {
	case !ok:
		return nil, fmt.Errorf("bad operand type for abs(): '%s'", typeName(x))
	case isFloat:
		return math.Abs(f), nil
	case i == math.MinInt64:
		return nil, errOverflow
	}
	return max(i, -i), nil
}

func filterInt(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("int", 0, "default", "base")
	if err != nil {
		return nil, err
	}
	base, err := intArg("int", p[1], 10)
	if err != nil {
		return nil, err
	}
	otherwise := given(p[0], int64(0))
	f := 0.0
	switch v := x.(type) {
	case Number:
		return v, nil
	case bool:
		return toInt(v), nil
	case int64:
		return v, nil
	case float64:
		f = v
	case string:
		if err := st.scan(len(v)); err != nil {
			return nil, err
		}
		if i, ok := parseInt(v, int(base)); ok {
			return i, nil
		}
		var ok bool
		if f, ok = parseFloat(v); !ok {
			return otherwise, nil
		}
	case *Undefined:
		return nil, v.err()
	default:
		return otherwise, nil
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return otherwise, nil
	}
	if f >= math.MaxInt64 || f <= math.MinInt64 {
		return nil, errOverflow
	}
	return int64(f), nil
}

// parseInt is Python's int(s, base).
func parseInt(s string, base int) (int64, bool) {
	s = strings.TrimFunc(s, isSpace)
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[:1], s[1:]
	}
	if len(s) > 2 && s[0] == '0' {
		if prefix := map[int]byte{16: 'x', 8: 'o', 2: 'b'}[base]; prefix != 0 && s[1]|0x20 == prefix {
			s = s[2:]
		}
	}
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") || base < 0 || base > 36 || base == 1 {
		return 0, false
	}
	i, err := strconv.ParseInt(sign+strings.ReplaceAll(s, "_", ""), base, 64)
	return i, err == nil
}

// parseFloat is Python's float(s).
func parseFloat(s string) (float64, bool) {
	s = strings.TrimFunc(s, isSpace)
	if strings.ContainsAny(s, "xXpP") { // Go's hexadecimal floats
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return f, err == nil || math.IsInf(f, 0)
}

func filterFloat(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("float", 0, "default")
	if err != nil {
		return nil, err
	}
	if _, f, _, ok := number(x); ok {
		return f, nil
	}
	if u, ok := x.(*Undefined); ok {
		return nil, u.err()
	}
	if s, ok := x.(string); ok {
		if f, ok := parseFloat(s); ok {
			return f, st.scan(len(s))
		}
	}
	return given(p[0], 0.0), nil
}

func filterRound(_ *state, x Value, a *args) (Value, error) {
	p, err := a.bind("round", 0, "precision", "method")
	if err != nil {
		return nil, err
	}
	precision, err := intArg("round", p[0], 0)
	if err != nil {
		return nil, err
	}
	how, err := textArg("round", p[1], "common")
	if err != nil {
		return nil, err
	}
	i, f, isFloat, ok := number(x)
	if !ok {
		return nil, fmt.Errorf("round: a number is expected, not %s", typeName(x))
	}
	if precision < -300 || precision > 300 {
		return nil, errors.New("round: the precision must be between -300 and 300")
	}
	scale := math.Pow(10, float64(precision))
	switch how {
	case "common":
		switch {
		case !isFloat && precision >= 0:
			return i, nil
		case !isFloat:
			return int64(math.RoundToEven(f*scale) / scale), nil
		case precision < 0:
			return math.RoundToEven(f*scale) / scale, nil
		}
		r, err := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(precision), 64), 64)
		if err != nil {
			return f, nil // infinities and nan
		}
		return r, nil
	case "ceil":
		return math.Ceil(f*scale) / scale, nil
	case "floor":
		return math.Floor(f*scale) / scale, nil
	}
	return nil, errors.New("round: the method must be common, ceil or floor")
}

func filterFromJSON(st *state, x Value, _ *args) (Value, error) {
	s, ok := x.(string)
	if !ok {
		return nil, fmt.Errorf("from_json expects a text, not %s", typeName(x))
	}
	if err := st.allocN(len(s)+1, 64); err != nil {
		return nil, err
	}
	return FromJSON([]byte(s))
}
