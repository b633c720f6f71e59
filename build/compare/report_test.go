package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the goldens")

func recorded(t *testing.T) []record {
	t.Helper()
	data, err := os.ReadFile("testdata/rounds.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	records, err := parseRecords(data)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// TestReport compares the report of recorded rounds with what it was when it was
// last looked at: go test ./build/compare -run Report -update, and look again.
func TestReport(t *testing.T) {
	got := writeReport(recorded(t), cases())
	golden := filepath.Join("testdata", "report.md")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the report is now:\n%s", got)
	}
}

// TestRoofline: the picture is well-formed, and its points lie where they belong.
func TestRoofline(t *testing.T) {
	records := recorded(t)
	picture := drawRoofline(records, cases())
	titles := 0
	for d := xml.NewDecoder(bytes.NewReader(picture)); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, picture)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "title" {
			titles++
		}
	}
	points := pointsOf(records, cases())
	if titles != len(points)+1 || len(points) < 10 {
		t.Errorf("%d titles, %d points", titles, len(points))
	}
	for _, p := range points {
		if p.work != together && p.work != decoding && p.work != reading || p.x < 1 || p.gops <= 0 {
			t.Errorf("%+v", p)
		}
		if p.work == reading && p.x < 100 || p.work == decoding && p.x > 4 {
			t.Errorf("%s has %v operations a byte", p.title, p.x)
		}
	}
	a := axes{1, 100, 10, 1000}
	if x, y := a.x(10), a.y(100); !near(x, picLeft+float64(picWidth-picLeft-picRight)/2) || !near(y, picTop+float64(picHeight-picTop-picBottom)/2) {
		t.Errorf("the middle is at %v, %v", x, y)
	}
	roofs := roofsOf(records, cases())
	if len(roofs) != 2 || roofs[0].threads != 1 || roofs[0].read >= roofs[1].read || roofs[0].dots >= roofs[1].dots {
		t.Errorf("roofs %+v", roofs)
	}
}

func TestLatest(t *testing.T) {
	records := []record{{Case: "a", Build: "1"}, {Case: "a", Build: "2", Load: 1}, {Case: "b", Build: "1"}, {Case: "a", Build: "2", Load: 2}}
	if got := latest(records, "a"); len(got) != 2 || got[0].Load != 1 || got[1].Load != 2 {
		t.Errorf("%+v", got)
	}
}

// TestReportCommand writes into a document, and refuses one that has no place
// for it or a folder without rounds.
func TestReportCommand(t *testing.T) {
	dir := t.TempDir()
	doc, picture, remarks := filepath.Join(dir, "doc.md"), filepath.Join(dir, "p.svg"), filepath.Join(dir, "notes.md")
	if err := os.WriteFile(remarks, []byte("## Limits\n\nMemory.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (int, string) {
		var complaint bytes.Buffer
		code := command(context.Background(), append([]string{"report", "-doc", doc, "-picture", picture, "-notes", remarks}, args...), io.Discard, &complaint)
		return code, complaint.String()
	}
	write := func(text string) {
		if err := os.WriteFile(doc, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("before\n" + reportBegins + "old\n" + reportEnds + "after\n")
	if code, complaint := run("-out", "testdata"); code != exitOK {
		t.Fatalf("code %d, %s", code, complaint)
	}
	data, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if !strings.HasPrefix(text, "before\n"+reportBegins) || !strings.HasSuffix(text, "\n\n## Limits\n\nMemory.\n"+reportEnds+"after\n") || !strings.Contains(text, "| SmolLM2-135M Q4_0 |") || strings.Contains(text, "old\n") {
		t.Error(text)
	}
	if _, err := os.Stat(picture); err != nil {
		t.Error(err)
	}
	if code, complaint := run("-out", dir); code != exitFailed || !strings.Contains(complaint, "has no rounds") {
		t.Errorf("code %d, %s", code, complaint)
	}
	write("nothing\n")
	if code, complaint := run("-out", "testdata"); code != exitFailed || !strings.Contains(complaint, "doc.md") {
		t.Errorf("code %d, %s", code, complaint)
	}
	if data, _ := os.ReadFile(doc); string(data) != "nothing\n" {
		t.Errorf("the document became %q", data)
	}
}
