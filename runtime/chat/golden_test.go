package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/ledge-run/ledge/runtime/chat/jinja"
)

// renderGolden renders a case as make_goldens.py does.
func renderGolden(t *testing.T, g golden) (string, error) {
	t.Helper()
	tmpl, err := jinja.Compile(g.Source, Limits{})
	if err != nil {
		return "", err
	}
	v, err := jinja.FromJSON(g.Vars)
	if err != nil {
		t.Fatal(err)
	}
	clock := &Template{opts: Options{Now: goldenNow}}
	vars := v.(*jinja.Dict).Set("strftime_now", jinja.NewFunc("strftime_now", clock.strftimeNow))
	return tmpl.Render(vars)
}

// TestGoldens compares templates of our own, which between them use each
// feature, with what Python's jinja2 made of them.
func TestGoldens(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "goldens.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []golden
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, g := range cases {
		t.Run(g.Name, func(t *testing.T) {
			got, err := renderGolden(t, g)
			switch {
			case err != nil && g.Error == "":
				t.Errorf("ours fails: %v", err)
			case err == nil && g.Error != "":
				t.Errorf("ours gives %q where jinja2 fails: %s", got, g.Error)
			case got != g.Output:
				t.Error(diff(g.Output, got))
			}
		})
	}
}
