package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What stands between the marks changes, and nothing else; a page without both stays.
func TestInsert(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	begin, end := Marks("speed", "tool")
	for _, c := range []struct{ page, want string }{
		{"a\n" + begin + "old\n" + end + "\nb\n", "a\n<!-- speed: go run ./build/tool -->\nnew\n<!-- end of speed -->\nb\n"},
		{"a\n" + begin + end, "a\n" + begin + "new\n" + end},
		{"a\n" + begin + "old\n", ""},
		{"a\n" + end + begin, ""},
		{end, ""},
	} {
		if err := os.WriteFile(path, []byte(c.page), 0o644); err != nil {
			t.Fatal(err)
		}
		err := Insert(path, begin, "new\n", end)
		got, rerr := os.ReadFile(path)
		if rerr != nil {
			t.Fatal(rerr)
		}
		if c.want == "" {
			if err == nil || !strings.Contains(err.Error(), "has no marks") || string(got) != c.page {
				t.Errorf("%q became %q, %v", c.page, got, err)
			}
		} else if err != nil || string(got) != c.want {
			t.Errorf("%q became %q, %v", c.page, got, err)
		}
	}
}
