package cpu

import (
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"testing"
)

type operandKind uint8

const (
	opImm operandKind = iota
	opGPR
	opVec // X, Y or Z register
	opMask
	opMem
	opLabel
)

type operand struct {
	kind        operandKind
	n           int // immediate, register, or target of a jump
	width       int // bytes of a vector register
	base, index int // registers of an address, -1: none
	scale, disp int
	symbol      string // base of an address instead: "FP", "SP" or data
	label       string
}

type instruction struct {
	name string
	args []operand
	line int
}

type program struct {
	code  map[string][]instruction
	data  map[string][]byte
	frame map[string]int
}

var gprNames = []string{"AX", "BX", "CX", "DX", "SI", "DI", "R8", "R9", "R10", "R11", "R12", "R13", "R14"}

func parseProgram(t testing.TB, file string) *program {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{map[string][]instruction{}, map[string][]byte{}, map[string]int{}}
	var fn string
	labels := map[string]int{}
	finish := func() {
		for i, ins := range p.code[fn] {
			for j, a := range ins.args {
				if a.kind == opLabel {
					p.code[fn][i].args[j].n = labels[a.label]
				}
			}
		}
		clear(labels)
	}
	for n, line := range strings.Split(string(text), "\n") {
		if i := strings.Index(line, "//"); i >= 0 {
			line = line[:i]
		}
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case name == "" || name == "GLOBL" || strings.HasPrefix(name, "#"):
		case name == "DATA":
			var sym string
			var off int
			var v uint64
			place, value, _ := strings.Cut(rest, ", ")
			sym, place, _ = strings.Cut(place, "+")
			off, _ = strconv.Atoi(place[:strings.Index(place, "(")])
			v, err = strconv.ParseUint(strings.TrimPrefix(value, "$"), 0, 64)
			if err != nil {
				t.Fatalf("%s:%d: %v", file, n+1, err)
			}
			p.data[sym] = binary.LittleEndian.AppendUint64(p.data[sym][:off], v)
		case name == "TEXT":
			finish()
			fn = strings.TrimPrefix(rest[:strings.Index(rest, "(")], "·")
			size := rest[strings.LastIndex(rest, "$")+1:]
			p.frame[fn], _ = strconv.Atoi(size[:strings.Index(size, "-")])
		case strings.HasSuffix(name, ":"):
			labels[strings.TrimSuffix(name, ":")] = len(p.code[fn])
		default:
			ins := instruction{name: name, line: n + 1}
			for _, a := range strings.Split(rest, ", ") {
				if a != "" {
					ins.args = append(ins.args, parseOperand(a))
				}
			}
			p.code[fn] = append(p.code[fn], ins)
		}
	}
	finish()
	return p
}

func gpr(s string) int {
	for i, n := range gprNames {
		if n == s {
			return i
		}
	}
	return -1
}

func parseOperand(s string) operand {
	number := func(s string) int { n, _ := strconv.ParseInt(s, 0, 64); return int(n) }
	if strings.HasPrefix(s, "$") {
		return operand{kind: opImm, n: number(s[1:])}
	}
	if n := gpr(s); n >= 0 {
		return operand{kind: opGPR, n: n}
	}
	if w, ok := map[byte]int{'X': 16, 'Y': 32, 'Z': 64}[s[0]]; ok {
		if n, err := strconv.Atoi(s[1:]); err == nil {
			return operand{kind: opVec, n: n, width: w}
		}
	}
	if s[0] == 'K' && len(s) == 2 {
		return operand{kind: opMask, n: int(s[1] - '0')}
	}
	open := strings.Index(s, "(")
	if open < 0 {
		return operand{kind: opLabel, label: s}
	}
	o := operand{kind: opMem, base: -1, index: -1}
	front := s[:open]
	parts := strings.Split(strings.Trim(strings.ReplaceAll(s[open:], ")(", " "), "()"), " ")
	switch parts[0] {
	case "FP", "SB":
		o.symbol = "FP"
		if parts[0] == "SB" {
			o.symbol, _, _ = strings.Cut(front, "+")
		}
		if _, off, ok := strings.Cut(front, "+"); ok {
			o.disp = number(off)
		}
	case "SP":
		o.symbol, o.disp = "SP", number(front)
	default:
		o.base, o.disp = gpr(parts[0]), number(front)
	}
	if len(parts) > 1 {
		reg, scale, _ := strings.Cut(parts[1], "*")
		o.index, o.scale = gpr(reg), number(scale)
	}
	return o
}
