package jinja

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

// bombs are hostile templates, each with a word of the reason it must be
// refused with.
var bombs = []struct{ name, source, reason string }{
	// Recursion.
	{"macro calls itself", "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "depth"},
	{"macros call each other", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}", "depth"},
	{"macro in its default", "{% macro f(x=f()) %}{% endmacro %}{{ f() }}", "depth"},
	{"caller calls its macro", "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}", "depth"},
	{"macro fans out", "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}", "limit"},
	{"recursive loop", "{% set l = [1] %}{% set _ = l.append(l) %}{% for x in l recursive %}{{ loop(l) }}{% endfor %}", "depth"},
	{"macro through map", "{% macro f(x) %}{{ [1]|map('string')|list }}{{ f(x) }}{% endmacro %}{{ f(1) }}", "depth"},
	// Nesting of the text.
	{"parentheses", "{{ " + strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000) + " }}", "nesting"},
	{"too long a text", strings.Repeat("(", 300_000), "source"},
	{"brackets", "{{ " + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + " }}", "nesting"},
	{"braces", "{{ " + strings.Repeat("{1:", 50_000) + "1" + strings.Repeat("}", 50_000) + " }}", "nesting"},
	{"calls", "{{ " + strings.Repeat("f(", 80_000) + strings.Repeat(")", 80_000) + " }}", "nesting"},
	{"subscripts", "{{ " + strings.Repeat("a[", 80_000) + "1" + strings.Repeat("]", 80_000) + " }}", "nesting"},
	{"filter arguments", "{{ 1" + strings.Repeat("|d(1", 40_000) + strings.Repeat(")", 40_000) + " }}", "nesting"},
	{"test arguments", "{{ 1 " + strings.Repeat("is eq [1 ", 20_000) + strings.Repeat("]", 20_000) + " }}", "nesting"},
	{"nots", "{{ " + strings.Repeat("not ", 60_000) + "1 }}", "nesting"},
	{"signs", "{{ " + strings.Repeat("-", 200_000) + "1 }}", "nesting"},
	{"else chains", "{{ " + strings.Repeat("1 if 0 else ", 15_000) + "1 }}", "nesting"},
	{"ifs", strings.Repeat("{% if 1 %}", 20_000) + strings.Repeat("{% endif %}", 2_000), "nesting"},
	{"fors", strings.Repeat("{% for x in [1] %}", 8_000) + strings.Repeat("{% endfor %}", 5_000), "nesting"},
	{"macros in macros", strings.Repeat("{% macro f() %}", 8_000) + strings.Repeat("{% endmacro %}", 8_000), "nesting"},
	{"targets", "{% set " + strings.Repeat("(", 100_000) + "a" + strings.Repeat(")", 100_000) + " = 1 %}", "nesting"},
	// Long chains, which nest without brackets.
	{"filter chain", "{{ 1" + strings.Repeat("|d", 100_000) + " }}", "depth"},
	{"sum chain", "{{ 1" + strings.Repeat("+1", 100_000) + " }}", "depth"},
	{"attribute chain", "{% set a = {} %}{{ a" + strings.Repeat(".a", 100_000) + " }}", "depth"},
	{"or chain", "{{ 0" + strings.Repeat(" or 0", 40_000) + " }}", "depth"},
	{"if chain", "{{ 1" + strings.Repeat(" if 1", 40_000) + " }}", "depth"},
	{"set filter chain", "{% set x " + strings.Repeat("|d", 100_000) + " %}{% endset %}", "depth"},
	// Loops.
	{"a billion turns", "{% for i in range(1000000000) %}x{% endfor %}", "range"},
	{"nested loops", "{% for i in range(100000) %}{% for j in range(100000) %}{% set a = 1 %}{% endfor %}{% endfor %}", "steps"},
	{"nested empty loops", "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "steps"},
	{"loop over what grows", "{% set l = [1] %}{% for x in l %}{% set _ = l.append(x) %}{% endfor %}", "limit"},
	{"loop filter", "{% for i in range(99999) if loop or range(99999)|sum < 0 %}{% endfor %}", "limit"},
	{"loop that defines macros", "{% for i in range(99999) %}{% for j in range(99999) %}{% macro f() %}{% endmacro %}{% endfor %}{% endfor %}", "limit"},
	{"range with a huge step", "{% for i in range(-9223372036854775807, 9223372036854775807, 1) %}{% endfor %}", "range"},
	{"range down", "{{ range(9223372036854775807, -9223372036854775807, -2) | list }}", "range"},
	{"sums in loops", "{% for i in range(99999) %}{{ range(99999) | sum }}{% endfor %}", "limit"},
	{"nested map", "{% for i in range(99999) %}{% set _ = range(99999) | map('string') | join %}{% endfor %}", "memory"},
	// Growth of texts.
	{"times", "{{ 'x' * 100000000000 }}", "memory"},
	{"times from the left", "{{ 9223372036854775807 * 'xy' }}", "memory"},
	{"times of times", "{{ ('x' * 1000000) * 1000000 }}", "memory"},
	{"list times", "{{ [1] * 1000000000 }}", "elements"},
	{"list times in steps", "{% set l = [[1] * 1000] * 1000 %}{{ l }}", "limit"},
	{"doubling", "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "memory"},
	{"doubling by join", "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] | join(ns.s) %}{% endfor %}", "memory"},
	{"doubling by replace", "{% set ns = namespace(s='xx') %}{% for i in range(60) %}{% set ns.s = ns.s | replace('x', ns.s) %}{% endfor %}", "memory"},
	{"replace of nothing", "{{ ('x' * 100000).replace('', 'y' * 100000) }}", "memory"},
	{"join with a long text", "{{ range(100000) | join('y' * 100000) }}", "memory"},
	{"str.join", "{{ ('y' * 100000).join(['a'] * 100000) }}", "memory"},
	{"doubling by blocks", "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}{% endfor %}", "memory"},
	{"macros that double", "{% macro a(s) %}{{ s }}{{ s }}{% endmacro %}{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = a(ns.s) %}{% endfor %}", "memory"},
	{"output", "{% set s = 'x' * 100000 %}{% for i in range(1000) %}{{ s }}{% endfor %}", "output"},
	{"percent width", "{{ '%1000000000d' % 1 }}", "memory"},
	{"percent huge width", "{{ '%99999999999999999999d' % 1 }}", "width"},
	{"percent precision", "{{ '%.1000000000f' % 1.5 }}", "precision"},
	{"percent integer precision", "{{ '%.1000000000d' % 1 }}", "precision"},
	{"format width", "{{ '{:1000000000}'.format('a') }}", "memory"},
	{"format fill", "{{ '{:é>1000000000}'.format(1) }}", "memory"},
	{"center", "{{ 'a' | center(1000000000) }}", "memory"},
	{"ljust", "{{ 'a'.ljust(9223372036854775807) }}", "memory"},
	{"zfill", "{{ 'a'.zfill(9000000000) }}", "memory"},
	{"indent", "{{ 'a\nb\nc' | indent(1000000000) }}", "memory"},
	{"indent of many lines", "{{ ('\n' * 100000) | indent('x' * 100000, blank=true) }}", "memory"},
	{"tojson indent", "{{ [[1]] | tojson(indent=1000000000) }}", "indent"},
	{"tojson indent text", "{{ ([1] * 100000) | tojson(indent='x' * 100000) }}", "memory"},
	{"tojson separators", "{{ ([1] * 100000) | tojson(separators=['x' * 100000, '']) }}", "memory"},
	{"escapes", "{% set s = '<' * 1000000 %}{% for i in range(100) %}{% set t = s | e %}{% endfor %}", "memory"},
	{"slicing with a step", "{% set s = 'x' * 1000000 %}{% for i in range(10000) %}{% set t = s[::-1] %}{% endfor %}", "memory"},
	{"splitting", "{{ ('x,' * 1000000).split(',') | length }}", "memory"},
	{"list of characters", "{{ ('x' * 4000000) | list | length }}", "memory"},
	{"batch fill", "{{ [1] | batch(1000000000, 'x') | list }}", "elements"},
	{"slices", "{{ [1] | slice(1000000000) | list }}", "slices"},
	// Walking long texts again and again.
	{"searching", "{% set s = 'x' * 1000000 %}{% for i in range(100000) %}{% if 'y' in s %}{% endif %}{% endfor %}", "steps"},
	{"comparing", "{% set s = 'x' * 1000000 %}{% set t = s ~ '' %}{% for i in range(100000) %}{% if s == t %}{% endif %}{% endfor %}", "steps"},
	{"indexing", "{% set s = 'é' * 1000000 %}{% for i in range(100000) %}{% if s[999999] %}{% endif %}{% endfor %}", "steps"},
	{"lengths", "{% set s = 'é' * 1000000 %}{% for i in range(100000) %}{% set n = s | length %}{% endfor %}", "steps"},
	{"hashing", "{% set s = 'é' * 1000000 %}{% set d = {} %}{% for i in range(100000) %}{% set n = d[s] %}{% endfor %}", "steps"},
	{"stripping", "{% set s = ' ' * 1000000 %}{% for i in range(100000) %}{% set n = s.strip() %}{% endfor %}", "steps"},
	// Values that contain themselves, or look much bigger than they are.
	{"namespace in itself, printed", "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", "depth"},
	{"list in itself, printed", "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}", "depth"},
	{"list in itself, encoded", "{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}", "depth"},
	{"dict in itself, encoded", "{% set d = {} %}{% set _ = d.update(a=d) %}{{ d | tojson(indent=2) }}", "depth"},
	{"dict in itself, sorted", "{% set l = [] %}{% set _ = l.append(l) %}{% set k = [] %}{% set _ = k.append(k) %}{{ [l, k] | sort }}", "depth"},
	{"lists in themselves, compared", "{% set a = [] %}{% set _ = a.append(a) %}{% set b = [] %}{% set _ = b.append(b) %}{{ a == b }}", "depth"},
	{"list in itself, joined", "{% set l = ['a'] %}{% set _ = l.append(l) %}{{ l | join }}", "depth"},
	{"tuple key of a list in itself", "{% set l = [] %}{% set _ = l.append(l) %}{{ {(l, 1): 2} }}", "depth"},
	{"list in itself by its name", "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}", "depth"},
	{"doubled lists, printed", "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}", "limit"},
	{"doubled lists, compared", "{% set ns = namespace(a=[], b=[]) %}{% for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}", "steps"},
	{"doubled lists, encoded", "{% set ns = namespace(l={}) %}{% for i in range(60) %}{% set ns.l = {'a': ns.l, 'b': ns.l} %}{% endfor %}{{ ns.l | tojson }}", "limit"},
	// Numbers.
	{"power", "{{ 10 ** 100000000 }}", "64 bits"},
	{"powers of powers", "{{ 9 ** 9 ** 9 ** 9 }}", "64 bits"},
	{"product", "{% set ns = namespace(n=3) %}{% for i in range(100) %}{% set ns.n = ns.n * ns.n %}{% endfor %}", "64 bits"},
	{"long literal", "{{ " + strings.Repeat("9", 200_000) + " }}", "64 bits"},
	{"negated minimum", "{{ -(-9223372036854775807 - 1) }}", "64 bits"},
	{"minimum divided", "{{ (-9223372036854775807 - 1) // -1 }}", "64 bits"},
	// Messages.
	{"long raise", "{{ raise_exception('x' * 1000000) }}", "refuses"},
	{"long name", "{{ " + strings.Repeat("a", 200_000) + ".b }}", "undefined"},
	// Broken texts.
	{"unclosed block", strings.Repeat("{% if 1 %}", 50), "endif"},
	{"unclosed tag", "{% if ", "%}"},
	{"unclosed expression", "{{ 1", "}}"},
	{"unclosed comments", strings.Repeat("{# ", 80_000), "#}"},
	{"unclosed raws", strings.Repeat("{% raw %}", 20_000), "endraw"},
	{"unclosed string", "{{ '" + strings.Repeat("\\'", 100_000), "closed"},
	{"unclosed brackets", "{{ " + strings.Repeat("[", 90), "}}"},
	{"not UTF-8", "a\xff{{ 1 }}", "UTF-8"},
	{"many blanks", "{%" + strings.Repeat(" ", 200_000), "%}"},
	{"many dashes", strings.Repeat("{%-", 80_000), "%}"},
}

// TestBombs renders hostile templates: each must be refused with its reason,
// in less than a second of processor time and within 64 MB.
func TestBombs(t *testing.T) {
	for _, b := range bombs {
		t.Run(b.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := cpuTime()
			tmpl, err := Compile(b.source, Limits{})
			if err == nil {
				_, err = tmpl.Render(NewDict())
			}
			took := cpuTime() - start
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), b.reason) || strings.Contains(err.Error(), "internal error") {
				t.Errorf("error %.200v, want one about %q", err, b.reason)
			} else if len(err.Error()) > 1200 {
				t.Errorf("a message of %d bytes", len(err.Error()))
			}
			if took > time.Second {
				t.Errorf("took %v", took)
			}
			// All that was ever allocated, garbage included, bounds what was held.
			built := after.TotalAlloc - before.TotalAlloc
			if built > 64<<20 {
				t.Errorf("allocated %d MB", built>>20)
			}
			t.Logf("%v, allocated %d KB, %.120v", took.Round(10*time.Microsecond), built>>10, err)
		})
	}
	var limit *LimitError
	if _, err := Compile(strings.Repeat(" ", 1<<20), Limits{}); !errors.As(err, &limit) {
		t.Errorf("a long source gives %v, want a LimitError", err)
	}
}
