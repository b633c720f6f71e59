package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPages makes the pages and has them read by what reads manual pages.
func TestPages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dir := t.TempDir()
	must(t, "man", "-bin", builtPrograms(t), "-release", "1.2.3", dir)
	pages, err := filepath.Glob(filepath.Join(dir, "man?", "*.?"))
	if err != nil || len(pages) < 40 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, want := range []struct{ page, text string }{
		{"man1/ledge.1", `.TH "LEDGE" 1 2023-11-14 "ledge 1.2.3"`},
		{"man1/ledge.1", `\fBledge run\fR`},
		{"man1/ledge.1", `.SH "EXIT STATUS"`},
		{"man1/ledge-run.1", `\fB\-n\fR, \fB\-\-predict\fR \fIN\fR`},
		{"man1/ledge-run.1", `.SS "Model and device"`},
		{"man1/ledge-run.1", `git diff | ledge run \-m qwen3:0.6b "Write a commit message for this change:"`},
		{"man1/ledge-models.1", `ledge models rm`},
		{"man1/ledge-bench-command.1", `ledge bench`}, // ledge-bench is a program
		{"man3/libledge.3", `int ledge_generate(ledge_session *session`},
		{"man3/ledge_open.3", `.so man3/libledge.3`},
	} {
		text, err := os.ReadFile(filepath.Join(dir, want.page))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(text), want.text) {
			t.Errorf("%s lacks %q:\n%.600s", want.page, want.text, text)
		}
	}
	t.Run("groff", func(t *testing.T) {
		for _, p := range pages {
			quiet(t, dir, "groff", "-ww", "-man", "-Tutf8", "-z", p)
		}
	})
	t.Run("mandoc", func(t *testing.T) {
		for _, p := range pages {
			if strings.Contains(p, "/man1/") || strings.HasSuffix(p, "/libledge.3") { // the others are links
				quiet(t, dir, "mandoc", "-T", "lint", "-W", "warning", p)
			}
		}
	})
}

// quiet runs a tool that must have nothing to say.
func quiet(t *testing.T, dir, tool string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("no %s (Debian package %s)", tool, tool)
	}
	cmd := exec.Command(tool, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%s %s: %v\n%s", tool, args[len(args)-1], err, out)
	}
}

// TestLibraryPage: every function of the header has its page, and the comments become
// text.
func TestLibraryPage(t *testing.T) {
	header, err := os.ReadFile("../../cmd/libledge/ledge.h")
	if err != nil {
		t.Fatal(err)
	}
	text, functions, err := libraryPage(string(header), "2023-11-14", "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range functions {
		seen[f] = true
	}
	declared := regexp.MustCompile(`(?m)^(?:int|uint32_t|const char \*)\s*(ledge_\w+)\(`).FindAllStringSubmatch(string(header), -1)
	if len(declared) < 25 {
		t.Fatalf("the header declares %d functions", len(declared))
	}
	for _, m := range declared {
		if !seen[m[1]] {
			t.Errorf("%s has no page", m[1])
		}
	}
	if len(seen) != len(declared) {
		t.Errorf("%d pages of functions, %d are declared: %v", len(seen), len(declared), functions)
	}
	for _, want := range []string{".SS \"Handles\"\n", ".SS \"Structures\"\nStructures begin with their size", ".SH \"SESSIONS\"\n", "*/"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{"", "/* ledge.h: x */\n", "/*\n * ledge.h: x\n */\n", "/*\n * ledge.h: x\n */\nextern \"C\" {\n#endif\nint x;\n"} {
		if _, _, err := libraryPage(bad, "2023-11-14", "1"); err == nil {
			t.Errorf("%q made a page", bad)
		}
	}
}

// TestText: what a help text has becomes what it means, and no text becomes a request.
func TestText(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"One\ntwo.", ".PP\nOne\ntwo.\n"},
		{"A  b\nCC   d e\n     f", ".TP\n\\fBA\\fR\nb\n.TP\n\\fBCC\\fR\nd e\nf\n"},
		{"LONG\n   meaning", ".TP\n\\fBLONG\\fR\nmeaning\n"},
		{"So:\n  code 'x' \\n", ".PP\nSo:\n.PP\n.RS 4\n.nf\n  code \\(aqx\\(aq \\en\n.fi\n.RE\n"},
		{"See\n.SH or 'tis\n'tis", ".PP\nSee\n\\&.SH or 'tis\n\\&'tis\n"},
		{"-m ~/x ^ `y` 9 °C", ".PP\n\\-m \\(ti/x \\(ha \\(gay\\(ga 9 \\[u00B0]C\n"},
		{"two words\n   more", ".PP\ntwo words\n.PP\n.RS 4\n.nf\n   more\n.fi\n.RE\n"},
		{"", ""},
	} {
		var p page
		p.text(c.in)
		if got := p.b.String(); got != c.want {
			t.Errorf("%q:\n%q, want\n%q", c.in, got, c.want)
		}
	}
}
