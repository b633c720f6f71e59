package jinja

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokData
	tokVarBegin
	tokVarEnd
	tokBlockBegin
	tokBlockEnd
	tokName
	tokString
	tokInt
	tokFloat
	tokOp
)

// token is one lexical unit. For strings text is the value, otherwise the
// source text.
type token struct {
	text string
	line int32
	kind tokenKind
}

func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "the end of the template"
	case tokVarEnd:
		return "'}}'"
	case tokBlockEnd:
		return "'%}'"
	case tokData, tokVarBegin, tokBlockBegin:
		return "text"
	}
	if len(t.text) > 40 {
		return fmt.Sprintf("%.40q...", t.text)
	}
	return fmt.Sprintf("%q", t.text)
}

// lexer splits a template into tokens with the whitespace rules of jinja2's
// trim_blocks (a newline after a block or comment goes) and lstrip_blocks
// (blanks before a block or comment that begins its line go).
type lexer struct {
	src  string
	pos  int
	line int
	// lineStart says that the next text begins a line: nothing came before, or
	// the tag before it swallowed its newline.
	lineStart bool
	tokens    []token
}

// lex returns the tokens of src, without a final tokEOF.
func lex(src string) ([]token, error) {
	src = normalizeNewlines(src)
	src = strings.TrimSuffix(src, "\n") // jinja2's keep_trailing_newline=False
	l := &lexer{src: src, line: 1, lineStart: true}
	for l.pos < len(l.src) {
		if err := l.text(); err != nil {
			return nil, err
		}
	}
	return l.tokens, nil
}

func normalizeNewlines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
}

func (l *lexer) errorf(format string, args ...any) error {
	return &Error{Line: l.line, Err: fmt.Errorf(format, args...)}
}

func (l *lexer) emit(kind tokenKind, text string) {
	l.tokens = append(l.tokens, token{text, int32(l.line), kind})
}

// advance moves over n bytes and counts their lines.
func (l *lexer) advance(n int) {
	l.line += strings.Count(l.src[l.pos:l.pos+n], "\n")
	l.pos += n
}

// advanceEnd is advance over the end of a tag: it notes whether that ends a line.
func (l *lexer) advanceEnd(n int) {
	l.lineStart = l.src[l.pos+n-1] == '\n'
	l.advance(n)
}

// text reads text up to the next tag, then that tag.
func (l *lexer) text() error {
	rest := l.src[l.pos:]
	at := 0
	for {
		i := strings.IndexByte(rest[at:], '{')
		if i < 0 || at+i+1 >= len(rest) {
			l.emit(tokData, rest)
			l.pos = len(l.src)
			return nil
		}
		at += i
		if c := rest[at+1]; c == '{' || c == '%' || c == '#' {
			break
		}
		at++
	}
	kind := rest[at+1]
	body := rest[at+2:]
	sign := byte(0)
	if body != "" && (body[0] == '-' || body[0] == '+') {
		sign = body[0]
	}
	if data := l.stripBefore(rest[:at], sign, kind == '{'); data != "" {
		l.emit(tokData, data)
	}
	l.lineStart = false
	if kind == '%' {
		if n := rawBegin(body); n > 0 {
			l.lineStart = body[n-1] == '\n'
			l.advance(at + 2 + n)
			return l.raw()
		}
	}
	n := at + 2
	if sign != 0 {
		n++
	}
	l.advance(n)
	switch kind {
	case '#':
		return l.comment()
	case '{':
		l.emit(tokVarBegin, "")
		return l.tag(true)
	default:
		l.emit(tokBlockBegin, "")
		return l.tag(false)
	}
}

// stripBefore applies the whitespace rules to the text before a tag.
func (l *lexer) stripBefore(text string, sign byte, variable bool) string {
	switch {
	case sign == '-':
		return strings.TrimRightFunc(text, isSpace)
	case sign == '+' || variable:
		return text
	}
	start := strings.LastIndexByte(text, '\n') + 1
	if (start > 0 || l.lineStart) && strings.TrimLeftFunc(text[start:], isSpace) == "" {
		return text[:start]
	}
	return text
}

// rawBegin returns the length of "raw %}" at the start of s (what follows
// "{%"), or 0.
func rawBegin(s string) int {
	i := 0
	if s != "" && (s[0] == '-' || s[0] == '+') {
		i++
	}
	i += spaces(s[i:])
	if !strings.HasPrefix(s[i:], "raw") {
		return 0
	}
	i += 3
	i += spaces(s[i:])
	if strings.HasPrefix(s[i:], "-%}") {
		return i + 3 + spaces(s[i+3:])
	}
	if strings.HasPrefix(s[i:], "%}") {
		return i + 2
	}
	return 0
}

// raw reads up to "{% endraw %}" as text.
func (l *lexer) raw() error {
	for at := 0; ; {
		i := strings.Index(l.src[l.pos+at:], "{%")
		if i < 0 {
			return l.errorf("{%% raw %%} is not closed: {%% endraw %%} is missing")
		}
		at += i
		body := l.src[l.pos+at+2:]
		n, sign := 0, byte(0)
		if body != "" && (body[0] == '-' || body[0] == '+') {
			sign, n = body[0], 1
		}
		n += spaces(body[n:])
		if strings.HasPrefix(body[n:], "endraw") {
			n += len("endraw")
			n += spaces(body[n:])
			if end := blockEnd(body[n:]); end > 0 {
				if data := l.stripBefore(l.src[l.pos:l.pos+at], sign, false); data != "" {
					l.emit(tokData, data)
				}
				l.advanceEnd(at + 2 + n + end)
				return nil
			}
		}
		at += 2
	}
}

// comment skips to the end of a comment.
func (l *lexer) comment() error {
	rest := l.src[l.pos:]
	i := strings.Index(rest, "#}")
	if i < 0 {
		return l.errorf("a comment is not closed: '#}' is missing")
	}
	n := i + 2
	switch {
	case i > 0 && rest[i-1] == '-':
		n += spaces(rest[n:])
	case i > 0 && rest[i-1] == '+':
	case strings.HasPrefix(rest[n:], "\n"):
		n++
	}
	l.advanceEnd(n)
	return nil
}

// blockEnd returns the length of the end of a block tag at the start of s with
// the whitespace it swallows, or 0.
func blockEnd(s string) int {
	switch {
	case strings.HasPrefix(s, "-%}"):
		return 3 + spaces(s[3:])
	case strings.HasPrefix(s, "+%}"):
		return 3
	case strings.HasPrefix(s, "%}\n"):
		return 3
	case strings.HasPrefix(s, "%}"):
		return 2
	}
	return 0
}

func varEnd(s string) int {
	switch {
	case strings.HasPrefix(s, "-}}"):
		return 3 + spaces(s[3:])
	case strings.HasPrefix(s, "}}"):
		return 2
	}
	return 0
}

var closing = map[string]string{"(": ")", "[": "]", "{": "}"}

// tag reads the tokens inside "{{ }}" or "{% %}" and its end.
func (l *lexer) tag(variable bool) error {
	var open []string // the closing brackets that are due
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		if len(open) == 0 {
			if variable {
				if n := varEnd(rest); n > 0 {
					l.emit(tokVarEnd, "")
					l.advanceEnd(n)
					return nil
				}
			} else if n := blockEnd(rest); n > 0 {
				l.emit(tokBlockEnd, "")
				l.advanceEnd(n)
				return nil
			}
		}
		if n := spaces(rest); n > 0 {
			l.advance(n)
			continue
		}
		if kind, n := l.number(rest); n > 0 {
			l.emit(kind, strings.ReplaceAll(rest[:n], "_", ""))
			l.advance(n)
			continue
		}
		if n := identifier(rest); n > 0 {
			l.emit(tokName, rest[:n])
			l.advance(n)
			continue
		}
		if c := rest[0]; c == '\'' || c == '"' {
			n := stringEnd(rest)
			if n == 0 {
				return l.errorf("a string is not closed: %c is missing", c)
			}
			s, err := unescape(rest[1 : n-1])
			if err != nil {
				return l.errorf("%w", err)
			}
			l.emit(tokString, s)
			l.advance(n)
			continue
		}
		op := operator(rest)
		switch op {
		case "":
			r, _ := utf8.DecodeRuneInString(rest)
			return l.errorf("unexpected character %q", r)
		case "(", "[", "{":
			open = append(open, closing[op])
		case ")", "]", "}":
			if len(open) == 0 {
				return l.errorf("unexpected '%s'", op)
			}
			if want := open[len(open)-1]; want != op {
				return l.errorf("unexpected '%s', expected '%s'", op, want)
			}
			open = open[:len(open)-1]
		}
		l.emit(tokOp, op)
		l.advance(len(op))
	}
	if variable {
		return l.errorf("an expression is not closed: '}}' is missing")
	}
	return l.errorf("a block tag is not closed: '%%}' is missing")
}

func operator(s string) string {
	if len(s) >= 2 {
		switch s[:2] {
		case "//", "**", "==", "!=", ">=", "<=":
			return s[:2]
		}
	}
	if strings.IndexByte("+-/*%~[](){}><=.:|,;", s[0]) >= 0 {
		return s[:1]
	}
	return ""
}

// number returns the kind and length of the number literal at the start of s.
func (l *lexer) number(s string) (tokenKind, int) {
	if s[0] < '0' || s[0] > '9' {
		return 0, 0
	}
	if s[0] == '0' && len(s) > 2 {
		if ok := digitsOf(s[1] | 0x20); ok != nil {
			if n := digits(s[2:], ok, true); n > 0 {
				return tokInt, 2 + n
			}
		}
	}
	dec := digitsOf(0)
	n := digits(s, dec, false)
	afterDot := l.pos > 0 && l.src[l.pos-1] == '.'
	if !afterDot {
		m := n
		float := false
		if m < len(s) && s[m] == '.' {
			if d := digits(s[m+1:], dec, false); d > 0 {
				m += 1 + d
				float = true
			}
		}
		if m < len(s) && (s[m] == 'e' || s[m] == 'E') {
			e := m + 1
			if e < len(s) && (s[e] == '+' || s[e] == '-') {
				e++
			}
			if d := digits(s[e:], dec, false); d > 0 {
				m = e + d
				float = true
			}
		}
		if float {
			return tokFloat, m
		}
	}
	return tokInt, n
}

// digitsOf returns the digit test of the number base named by a letter (0 for
// decimal), or nil.
func digitsOf(base byte) func(byte) bool {
	switch base {
	case 0:
		return func(c byte) bool { return c >= '0' && c <= '9' }
	case 'x':
		return func(c byte) bool {
			return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
		}
	case 'o':
		return func(c byte) bool { return c >= '0' && c <= '7' }
	case 'b':
		return func(c byte) bool { return c == '0' || c == '1' }
	}
	return nil
}

// digits returns the length of a run of digits with single underscores between
// them.
func digits(s string, ok func(byte) bool, leading bool) int {
	n := 0
	for n < len(s) {
		switch {
		case ok(s[n]):
			n++
		case s[n] == '_' && (n > 0 || leading) && n+1 < len(s) && ok(s[n+1]):
			n += 2
		default:
			return n
		}
	}
	return n
}

func identifier(s string) int {
	for i, r := range s {
		if r == '_' || unicode.IsLetter(r) || i > 0 && (unicode.IsDigit(r) || unicode.Is(unicode.M, r)) {
			continue
		}
		return i
	}
	return len(s)
}

// stringEnd returns the length of the string literal at the start of s, or 0.
func stringEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}
	return 0
}

// spaces returns the length of the whitespace at the start of s.
func spaces(s string) int {
	for i, r := range s {
		if !isSpace(r) {
			return i
		}
	}
	return len(s)
}

// isSpace is Python's str.isspace for one character.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f
}
