package journal_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/journal"
	"github.com/ledge-run/ledge/runtime/bench/record"
)

func rec(name string, round int) record.Record {
	return record.Record{Version: record.Version, Case: name, Round: round, Time: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC), Runs: []record.Run{{Engine: record.Engine{Name: record.Ledge}}}}
}

func open(t *testing.T, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() }) // closed twice in some tests
	return j
}

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "j.jsonl")
	j := open(t, path)
	for i := 1; i <= 3; i++ {
		if err := errors.Join(j.Reserve(), j.Add(rec("a", i))); err != nil {
			t.Fatal(err)
		}
		if all, err := journal.Read(path); err != nil || len(all) != i || all[i-1].Round != i {
			t.Fatalf("after %d: %+v, %v", i, all, err)
		}
	}
	if _, err := journal.Open(path); !errors.Is(err, journal.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("opened twice: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if again := open(t, path); len(again.Records) != 3 || again.Cut != 0 {
		t.Errorf("%d records, %d cut", len(again.Records), again.Cut)
	}
}

// TestTorn: whatever an interrupted write left, whole records stay, and the next one
// begins on a line of its own.
func TestTorn(t *testing.T) {
	whole, err := json.Marshal(rec("a", 1))
	if err != nil {
		t.Fatal(err)
	}
	line := string(whole) + "\n"
	for _, c := range []struct {
		name, tail string
		want, cut  int
	}{
		{"nothing", "", 2, 0},
		{"half a record", line[:200], 2, 200},
		{"the opening", line[:31], 2, 31},
		{"a part of the opening", line[:12], 2, 12},
		{"one byte", "{", 2, 1},
		{"half a record and zeros", line[:200] + "\x00\x00", 2, 202},
		{"a record without its end", line[:len(line)-1], 3, 0},
		{"zeros, as after a crash", strings.Repeat("\x00", 100), 2, 100},
		{"a blank line", "\n", 2, 0},
	} {
		path := filepath.Join(t.TempDir(), "j.jsonl")
		if err := os.WriteFile(path, []byte(line+line+c.tail), 0o600); err != nil {
			t.Fatal(err)
		}
		if all, err := journal.Read(path); err != nil || len(all) != c.want {
			t.Errorf("%s: read %d, %v", c.name, len(all), err)
		}
		j := open(t, path)
		if len(j.Records) != c.want || j.Cut != c.cut {
			t.Errorf("%s: %d records, %d cut", c.name, len(j.Records), j.Cut)
		}
		if err := errors.Join(j.Reserve(), j.Add(rec("b", 9)), j.Close()); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if all, err := journal.Read(path); err != nil || len(all) != c.want+1 || all[c.want].Case != "b" {
			t.Errorf("%s: then %d, %v", c.name, len(all), err)
		}
	}
}

// TestFirst: the first round may be interrupted, too.
func TestFirst(t *testing.T) {
	whole, err := json.Marshal(rec("a", 1))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "j.jsonl")
	if err := os.WriteFile(path, whole[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	if j := open(t, path); len(j.Records) != 0 || j.Cut != 100 {
		t.Errorf("%d records, %d cut", len(j.Records), j.Cut)
	}
}

// TestZeros: a first round that was to be written left room for it, and nothing else.
func TestZeros(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.jsonl")
	if err := os.WriteFile(path, make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := journal.Read(path); err != nil || len(all) != 0 {
		t.Errorf("%d records, %v", len(all), err)
	}
	if j := open(t, path); len(j.Records) != 0 || j.Cut != 1000 {
		t.Errorf("%d records, %d cut", len(j.Records), j.Cut)
	}
}

func TestBroken(t *testing.T) {
	whole, err := json.Marshal(rec("a", 1))
	if err != nil {
		t.Fatal(err)
	}
	line := string(whole) + "\n"
	without := func(old, new string) string {
		if !strings.Contains(line, old) {
			t.Fatalf("no %s in %s", old, line)
		}
		return line + strings.Replace(line, old, new, 1)
	}
	for _, c := range []struct{ text, say string }{
		{line + "nonsense\n" + line, "line 2: no record"},
		{"{\"version\":1}\n", "line 1: a record without a case"},
		{without(`"case":"a"`, `"case":""`), "line 2: a record without a case"},
		{without(`"time":"2026-05-06T07:08:09Z",`, ""), "line 2: a record without a time"},
		{without(`[{"engine":{"name":"ledge"},"seconds":0}]`, "[]"), "line 2: a record without runs"},
		{without(`[{"engine":{"name":"ledge"},"seconds":0}]`, "[{}]"), "line 2: a record without the engine's name in run 1"},
		// Files of others, which end without a line's end.
		{"my notes, all of them, of ten years", "line 1: no record"},
		{line + "my notes", "line 2: no record"},
		{line + "{my notes", "line 2: no record"},
		{line + `{"version":1,"sweets":`, "line 2: no record"},
		{`{"version":1,"packages":{"a":1`, "line 1: no record"},
		{`{"version":1,"packages":{}}`, "name another file as the journal"},
		{"{", "line 1: no record"},
		{line + strings.TrimSuffix(strings.Replace(line, `"version":1`, `"version":99`, 1), "\n"), "line 2: a record of version 99"},
		{"{\"version\":99}\n", "line 1: a record of version 99"},
		{"{}\n", "version 0"},
		{strings.Repeat("x", 17<<20), "longer than 16 MiB"},
	} {
		path := filepath.Join(t.TempDir(), "j.jsonl")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err1 := journal.Read(path)
		_, err2 := journal.Open(path)
		for _, err := range []error{err1, err2} {
			if err == nil || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%.40q: %v, want %q", c.text, err, c.say)
			}
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != c.text {
			t.Errorf("%.40q was changed", c.text)
		}
	}
	if _, err := journal.Open(t.TempDir()); err == nil {
		t.Error("a folder is a journal")
	}
	big := rec("a", 1)
	big.Disturbed = []string{strings.Repeat("x", 17<<20)}
	j := open(t, filepath.Join(t.TempDir(), "j.jsonl"))
	if err := j.Add(big); err == nil || len(j.Records) != 0 {
		t.Errorf("a record that cannot be read again was written: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	whole, err := json.Marshal(rec("a", 1))
	if err != nil {
		f.Fatal(err)
	}
	line := string(whole) + "\n"
	f.Add([]byte(line + line[:len(line)-1]))
	f.Add([]byte(line + line[:40]))
	f.Add([]byte(line + "\x00\x00"))
	f.Add([]byte("\x00\x00\n\n{"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "j.jsonl")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := journal.Read(path)
		if err != nil {
			return
		}
		j, err := journal.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(j.Records) != len(all) {
			t.Errorf("%d records opened, %d read", len(j.Records), len(all))
		}
		if err := errors.Join(j.Reserve(), j.Add(rec("b", 1)), j.Close()); err != nil {
			t.Fatal(err)
		}
		if again, err := journal.Read(path); err != nil || len(again) != len(all)+1 {
			t.Errorf("%d records, then %d, %v", len(all), len(again), err)
		}
	})
}
