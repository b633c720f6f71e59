package suite

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/nearest"
	"github.com/ledge-run/ledge/runtime/strictyaml"
)

// readTables reads the tables of a report.
func (r *reader) readTables(s *Suite, n *yaml.Node) error {
	nodes, err := r.list(n)
	if err != nil {
		return err
	}
	var groups []string
	for _, c := range s.Cases {
		if !slices.Contains(groups, c.Group) {
			groups = append(groups, c.Group)
		}
	}
	// among reads names that must be known.
	among := func(to *[]string, what string, known []string) func(*yaml.Node) error {
		return func(n *yaml.Node) (err error) {
			if *to, err = r.texts(n, true); err != nil {
				return err
			}
			for _, name := range *to {
				if !slices.Contains(known, name) {
					return r.Errorf(n, "no %s is called %q%s; there are %s", what, r.Clip(name), nearest.Hint(r.Clip(name), known), strings.Join(known, ", "))
				}
			}
			return nil
		}
	}
	for _, n := range nodes {
		var t Table
		err := r.Fields(n, "a table", strictyaml.Handlers{
			"title": r.TextTo(&t.Title), "note": r.TextTo(&t.Note),
			"cases": among(&t.Groups, "entry of cases", groups), "figures": among(&t.Figures, "figure", record.Names()),
		})
		if err != nil {
			return err
		}
		if t.Title == "" || len(t.Figures) == 0 {
			return r.Errorf(n, "a table needs a title and figures")
		}
		s.Tables = append(s.Tables, t)
	}
	return nil
}
