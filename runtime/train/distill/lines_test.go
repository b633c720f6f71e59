package distill

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLines: a text comes back whole, in pieces that end where paragraphs do.
func TestLines(t *testing.T) {
	dir := t.TempDir()
	var text strings.Builder
	for text.Len() < 3*pieceBytes {
		text.WriteString("A line with \"quotes\" & <tags>, 中文.\nAnother of the paragraph.\n\n")
	}
	in, out := filepath.Join(dir, "a.txt"), filepath.Join(dir, "new", "a.jsonl")
	if err := os.WriteFile(in, []byte(text.String()+"the end"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Lines(in, out); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got, pieces := "", bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	for i, line := range pieces {
		var r struct{ Text string }
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		if i+1 < len(pieces) && !strings.HasSuffix(r.Text, "\n\n") {
			t.Errorf("piece %d ends within a paragraph", i)
		}
		got += r.Text
	}
	if got != text.String()+"the end" || len(pieces) != 3 {
		t.Errorf("%d bytes in %d pieces came of %d", len(got), len(pieces), text.Len())
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err = z.Write([]byte("a text"))
	if err := errors.Join(err, z.Close(), os.WriteFile(in+".gz", zipped.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := Lines(in+".gz", out); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(out); err != nil || string(data) != `{"text":"a text"}`+"\n" {
		t.Errorf("of a packed text came %s (%v)", data, err)
	}
	if err := os.WriteFile(in+".gz", zipped.Bytes()[:20], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Lines(in+".gz", out); err == nil || !strings.Contains(err.Error(), in) || !strings.Contains(err.Error(), "cut off: copy") {
		t.Errorf("of a packed text that is cut off: %v", err)
	}
	for name, bad := range map[string]string{"no text": " \n\n", "line 3 is not UTF-8": "a\n中\n\xff\nb\xff"} {
		if err := os.WriteFile(in, []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		err := Lines(in, filepath.Join(dir, "b.jsonl"))
		if err == nil || !strings.Contains(err.Error(), in) || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "b*")); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

// TestLinesWithout: a text of one line is cut, too, and never within a character.
func TestLinesWithout(t *testing.T) {
	for _, begin := range []string{"", "a", "ab"} {
		text := begin + strings.Repeat("中文", mostBytes/4)
		var out bytes.Buffer
		if err := writeLines(&out, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		got, pieces := "", 0
		for d := json.NewDecoder(&out); d.More(); pieces++ {
			var r struct{ Text string }
			if err := d.Decode(&r); err != nil {
				t.Fatal(err)
			}
			got += r.Text
		}
		if got != text || pieces != 2 {
			t.Errorf("%d bytes in %d pieces came of %d", len(got), pieces, len(text))
		}
	}
	err := writeLines(io.Discard, strings.NewReader(strings.Repeat("x\n", mostBytes)+"\xe4\xb8"))
	if want := fmt.Sprintf("line %d is not UTF-8", mostBytes+1); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
