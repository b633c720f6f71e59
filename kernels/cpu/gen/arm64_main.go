package main

import (
	"bytes"
	"fmt"

	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// armShared is the family of kernels on float32, which all levels of arm64 use.
const armShared = "neon"

// armLevel is a level of arm64.
type armLevel struct {
	name   string
	rows   []int    // of activations, for which it has tiles
	from   []string // the level whose those are
	groups int      // row groups that a tile of several rows takes
}

var armLevels = []armLevel{
	{armShared, []int{1, 2, 4}, []string{armShared, armShared, armShared}, 1},
	{"dotprod", []int{1, 2, 4, arrangedRows}, []string{"dotprod", "dotprod", "dotprod", "dotprod"}, arrangedGroups},
	{"i8mm", []int{1, 2, 4, arrangedRows}, []string{"dotprod", "dotprod", "i8mm", "i8mm"}, arrangedGroups},
}

// tiles writes the level's own tiles.
func (e *arm) tiles(l armLevel) {
	for i := range packed.Formats {
		for j, rows := range l.rows {
			if l.from[j] != l.name {
				continue
			}
			t := &armTile{arm: e, f: &packed.Formats[i], rows: rows, dots: l.name == "dotprod"}
			if rows < arrangedRows && l.name != "i8mm" {
				t.write()
				continue
			}
			a := &arrangedTile{armTile: t, inLine: 4 * rows}
			if a.way = (&laneTile{arrangedTile: a}); l.name == "i8mm" {
				a.inLine = 8 * rows
				a.way = &matrixTile{arrangedTile: a}
			}
			a.write()
		}
	}
}

// generateArm adds the files of arm64.
func generateArm(files map[string][]byte) error {
	var stubs bytes.Buffer
	stubs.WriteString(header + "package cpu\n\n")
	for _, level := range armLevels {
		e := newArm(level.name)
		e.tiles(level)
		if level.name == armShared {
			e.panels()
			e.rowKernels()
			e.elementwise()
			e.cacheKernels()
			e.conversions()
			e.quantize()
			e.reads()
		}
		e.ceilings()
		var s bytes.Buffer
		s.WriteString(header + "#include \"textflag.h\"\n#include \"funcdata.h\"\n\n")
		s.Write(e.data.text.Bytes())
		s.Write(e.text.Bytes())
		files[e.prefix+"_arm64.s"] = s.Bytes()
		e.table(level)
		stubs.Write(e.stubs.Bytes())
	}
	return addStubs(files, "stubs_arm64.go", stubs.Bytes())
}

// table writes the level's table of kernels.
func (e *arm) table(l armLevel) {
	p := func(f string, args ...any) { fmt.Fprintf(&e.stubs, f+"\n", args...) }
	p("var %sTable = table{", e.prefix)
	p("tileRows: []int{%s},\ntileGroups: %d,\ntiles: [][]tileFunc{", list(l.rows), l.groups)
	for i := range packed.Formats {
		s := ""
		for j, r := range l.rows {
			s += fmt.Sprintf("%s%s%dx1, ", l.from[j], formatName(&packed.Formats[i]), r)
		}
		p("{%s},", s)
	}
	p("},")
	p("panelRows: []int{%s},", list(armPanelRows))
	for _, typ := range []string{"F32", "F16", "BF16"} {
		s := ""
		for _, r := range armPanelRows {
			s += fmt.Sprintf("%sPanel%s%dx1, ", armShared, typ, r)
		}
		p("panel%s: []panelFunc{%s},", typ, s)
		p("wide%s: %sPanel%s1x4,", typ, armShared, typ)
	}
	e.rowTable(armShared)
	for _, f := range []string{"Quantize", "ScatterF16", "ToF16", "FromF16"} {
		p("%s%s: %s%s,", string(f[0]|0x20), f[1:], armShared, f)
	}
	p("}\n")
}
