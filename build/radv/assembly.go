package main

import (
	"regexp"
	"strings"
)

var (
	label    = regexp.MustCompile(`^(BB\d+):`)
	branch   = regexp.MustCompile(`^\s+s_c?branch\S*\s+(BB\d+)\b`)
	multiply = regexp.MustCompile(`^\s+v_(pk_)?(fma|fmac|mac|mad|dot|mul_lo)`)
	four     = regexp.MustCompile(`^\s+v_dot4`)
)

// loop is the number of instructions in the loop that a program spends its time
// in: of those without another loop inside, the one that multiplies and adds most.
// It is 0 for programs without such a loop.
func loop(assembly string) int {
	lines := strings.Split(assembly, "\n")
	at := map[string]int{}
	for i, l := range lines {
		if m := label.FindStringSubmatch(l); m != nil {
			at[m[1]] = i
		}
	}
	type span struct{ from, to int }
	var loops []span
	for i, l := range lines {
		if m := branch.FindStringSubmatch(l); m != nil {
			if from, ok := at[m[1]]; ok && from <= i {
				loops = append(loops, span{from, i})
			}
		}
	}
	best, most := 0, 0
	for _, s := range loops {
		inner := true
		for _, o := range loops {
			inner = inner && (o == s || o.from < s.from || o.to > s.to)
		}
		instructions, products := 0, 0
		for _, l := range lines[s.from : s.to+1] {
			if strings.HasPrefix(l, "\t") {
				instructions++
			}
			if multiply.MatchString(l) {
				products++
			}
			if four.MatchString(l) {
				products += 3
			}
		}
		if inner && products > most {
			best, most = instructions, products
		}
	}
	return best
}
