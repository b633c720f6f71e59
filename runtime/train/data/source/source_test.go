package source

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// all reads a file held in memory: its texts, and what was wrong.
func all(name, content string, o Options) (docs []Document, problems []string) {
	f, gz, ok := formatOf(name)
	if !ok {
		f = Text
	}
	read(strings.NewReader(content), File{Name: name, Format: f, Gzip: gz}, o, nil, func(d Document, err error) bool {
		if err != nil {
			var bad *BadRecord
			if !errors.As(err, &bad) {
				err = fmt.Errorf("no BadRecord: %w", err)
			}
			problems = append(problems, err.Error())
			return true
		}
		docs = append(docs, d)
		return true
	})
	return docs, problems
}

func zipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func encoded(t testing.TB, e encoding.Encoding, text string) string {
	t.Helper()
	s, err := e.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func numbered(n int, text string) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%d:%s", i+1, text))
	}
	return all
}

// TestRead: each document as LINE:TEXT, then what is wrong.
func TestRead(t *testing.T) {
	chinese := "今天的天气很好，我们去公园吧。"
	const closed = `<head><title/><script src="a.js"/><style/></head><p>A</p><iframe src="u"/><textarea/><p>B <i>c</i></p><script>x</script><p>D</p>`
	for _, c := range []struct {
		name, file, content string
		o                   Options
		want                []string
		wrong               []string
	}{
		{"a whole file", "a.txt", "one\ntwo\n", Options{}, []string{"1:one\ntwo\n"}, nil},
		{"paragraphs", "a.md", "\n\none\ntwo\n\n \n\nthree", Options{Unit: Paragraph}, []string{"3:one\ntwo\n", "8:three"}, nil},
		{"lines", "a.txt", "one\r\n\ntwo", Options{Unit: Line}, []string{"1:one\r\n", "3:two"}, nil},
		{"blank lines", "a.txt", "one\n  \ntwo", Options{Unit: Line, Blank: true}, []string{"1:one\n", "2:  \n", "3:two"}, nil},
		{"nothing", "a.txt", "", Options{}, nil, nil},
		{"white space", "a.txt", " \n\n", Options{}, nil, nil},
		{"compressed", "a.txt.gz", zipped(t, "one"), Options{}, []string{"1:one"}, nil},
		{"not compressed", "a.txt.gz", "one", Options{}, nil, []string{"a.txt.gz: not in gzip format"}},
		{"cut", "a.txt.gz", zipped(t, strings.Repeat("x y ", 1000))[:30], Options{}, nil, []string{"a.txt.gz: cannot be read"}},
		{"UTF-8 with a mark", "a.txt", "\ufeffone", Options{}, []string{"1:one"}, nil},
		{"UTF-16", "a.txt", encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), chinese), Options{}, []string{"1:" + chinese}, nil},
		{"UTF-16, big end first", "a.txt", encoded(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM), chinese), Options{}, []string{"1:" + chinese}, nil},
		{"GB18030", "a.txt", encoded(t, simplifiedchinese.GB18030, chinese+" and English"), Options{}, []string{"1:" + chinese + " and English"}, nil},
		{"Latin", "a.txt", encoded(t, charmap.ISO8859_1, "Größe über café"), Options{}, nil, []string{"a.txt: byte 3 is not UTF-8"}},
		{"Latin by name", "a.txt", encoded(t, charmap.ISO8859_1, "Größe"), Options{Encoding: "latin1"}, []string{"1:Größe"}, nil},
		{"binary", "a.txt", "\x7fELF\x00\x00\xff", Options{}, nil, []string{"it is no text"}},
		{"broken later", "a.txt", strings.Repeat("fine\n", sample/4) + "b\xffad\nfine\n", Options{Unit: Paragraph}, nil, []string{fmt.Sprintf("a.txt:1: line %d: byte 2 of the line is 0xff", sample/4+1)}},
		{"too long", "a.txt", strings.Repeat("0123456789\n", 30), Options{Max: 100}, nil, []string{"a.txt:1: the file"}},
		{"one long line", "a.txt", "short\n" + strings.Repeat("x", 200) + "\nshort\n", Options{Max: 100, Unit: Line}, []string{"1:short\n", "3:short\n"}, []string{"a.txt:2: the line is longer"}},
		{"JSON lines", "a.jsonl", `{"text":"one\ntwo","n":1}` + "\n\n" + ` {"n":2,"text":"three"} `, Options{}, []string{"1:one\ntwo", "3:three"}, nil},
		{"mostly UTF-8", "a.txt", strings.Repeat("中文内容\n", 50) + "b\xffad\n中文\n", Options{Unit: Line}, slices.Concat(numbered(50, "中文内容\n"), []string{"52:中文\n"}), []string{"a.txt:51: line 51: byte 2 of the line is 0xff"}},
		{"another field", "a.ndjson", `{"body":"one"}`, Options{Field: "body"}, []string{"1:one"}, nil},
		{"bad JSON lines", "a.jsonl", "{\"text\":\"a\"}\nnothing\n[1]\n{}\n{\"text\":null}\n{\"text\":\"\xff\"}\n{\"text\":\"b\"}\n", Options{}, []string{"1:a", "7:b"},
			[]string{"a.jsonl:2: not a JSON object: invalid character", "a.jsonl:3: not a JSON object", `a.jsonl:4: there is no field "text" (there are: none)`, `a.jsonl:5: the field "text" is not a string`, "a.jsonl:6: byte 10 of the line is 0xff"}},
		{"a table", "a.csv", "id,text\n1,\"one, \"\"two\"\"\nthree\"\n2,four\n", Options{}, []string{"2:one, \"two\"\nthree", "4:four"}, nil},
		{"a table with tabs", "a.tsv", "text\tid\na \"b\t1\n", Options{}, []string{"2:a \"b"}, nil},
		{"no such column", "a.csv", "id,body\n1,x\n", Options{}, nil, []string{`a.csv:1: there is no column "text" (there are: id, body)`}},
		{"short records", "a.csv", "id,text\n1\n2,two\n", Options{}, []string{"3:two"}, []string{"a.csv:2: it has 1 fields, but there are 2 columns"}},
		{"a stray quote", "a.csv", "id,text\n1,a\"b\n2,two\n", Options{}, []string{"3:two"}, []string{"a.csv:2: bare"}},
		{"an open quote", "a.csv", "text,id\n\"one\ntwo\",1\n\"" + strings.Repeat("word\n", 2000), Options{Max: 1000}, []string{"2:one\ntwo"}, []string{"a.csv:4: the record, behind"}},
		{"a quote that nothing closes", "a.csv", "id,text\n1,one\n\n2,\"two\n3,three\n4,four\r\n5,five\n", Options{}, []string{"2:one", "5:three", "6:four", "7:five"}, []string{"a.csv:4: extraneous or missing"}},
		{"quotes that nothing closes", "a.csv", "id,text\n1,\"one\n2,\"two\n3,\"three\nand more\"\n\"4\",\"four", Options{}, []string{"4:three\nand more"}, []string{"a.csv:2: extraneous", "a.csv:3: extraneous", "a.csv:6: extraneous"}},
		{"an open quote behind a bad record", "a.csv", "id,text\n1,a\"b\n\"" + strings.Repeat("word\n", 2000), Options{Max: 1000}, nil, []string{"a.csv:2: bare", "a.csv:3: the record, behind"}},
		{"an open quote in the second column", "a.csv", "id,text\n1,\"" + strings.Repeat("word\n", 2000), Options{Max: 1000}, nil, []string{"a.csv:2: the record, behind"}},
		{"an open quote with tabs", "a.tsv", "text\tid\n\"" + strings.Repeat("word\n", 2000), Options{Max: 1000}, nil, []string{"a.tsv:2: the record, behind"}},
		{"a page", "a.html", "<html><head><title>T &amp; U</title><script>var x = '<p>no</p>';</script><style>p{}</style></head><body><p>One  <b>two</b>\n three</p>" +
			"<ul><li>a<li>b</ul><pre>x\n  y</pre><noscript>no</noscript></body></html>", Options{}, []string{"1:T & U\n\nOne two three\n\na\nb\n\nx\n  y"}, nil},
		{"closed tags in XHTML", "a.xhtml", closed, Options{}, []string{"1:A\n\nB c\n\nD"}, nil},
		{"closed tags in compressed XHTML", "A.XHTML.gz", zipped(t, closed), Options{}, []string{"1:A\n\nB c\n\nD"}, nil},
		{"closed tags behind an XML declaration", "a.html", `<?xml version="1.0"?>` + closed, Options{}, []string{"1:A\n\nB c\n\nD"}, nil},
		{"closed tags behind a doctype", "a.html", `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x.dtd">` + closed, Options{}, []string{"1:A\n\nB c\n\nD"}, nil},
		{"a script that HTML does not close", "a.html", `<p>A</p><script src="a.js"/><p>no</p></script><p>B</p>`, Options{}, []string{"1:A\n\nB"}, nil},
		{"a frame that HTML does not close", "a.html", `<p>A</p><iframe src="u"/><p>no <i>c</i></p>`, Options{}, []string{"1:A"}, nil},
		{"a title that HTML does not close", "a.html", `<title/><p>A <i>c</i></p>`, Options{}, []string{"1:A c"}, nil},
		{"closed tags in a drawing", "a.html", `<p>A</p><svg><title/><style/><path d="x"/></svg><p>B</p>`, Options{}, []string{"1:A\n\nB"}, nil},
		{"what is for old browsers", "a.html", `<p>A</p><noframes><p>no</p></noframes><noembed><i>no</i></noembed><p>B</p>`, Options{}, []string{"1:A\n\nB"}, nil},
		{"a page in GBK", "a.htm", "<meta charset=gbk><p>" + encoded(t, simplifiedchinese.GBK, "中文网页"), Options{}, []string{"1:中文网页"}, nil},
		{"kept", "a.jsonl", `{"text":"x","id": 7 ,"l":{"a": "b"},"g":"q"}`, Options{Keep: []string{"l", "id", "none"}, Group: "g"}, []string{`1:x g=q l={"a":"b"} id=7`}, nil},
		{"groups", "a.jsonl", `{"text":"a","g":"q\u00e9"}` + "\n" + `{"text":"b","g":null}` + "\n" + `{"text":"c","g":""}` + "\n" + `{"text":"d"}` + "\n" + `{"text":"e","g":12}` + "\n" + `{"text":"f","g":"12"}` + "\n" + `{"text":"g","g":[1, "x"]}`,
			Options{Group: "g"}, []string{"1:a g=qé", "2:b", "3:c", "4:d", "5:e g=12", "6:f g=12", `7:g g=[1,"x"]`}, nil},
		{"groups of a table", "a.csv", "text,g\na,qé\nb,\nc,12\n", Options{Group: "g"}, []string{"2:a g=qé", "3:b", "4:c g=12"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			docs, problems := all(c.file, c.content, c.o)
			var got []string
			for _, d := range docs {
				s := fmt.Sprintf("%d:%s", d.Line, d.Text)
				if d.Group != "" {
					s += " g=" + d.Group
				}
				for _, f := range d.Extra {
					s += fmt.Sprintf(" %s=%s", f.Name, f.Value)
				}
				got = append(got, s)
				if d.File != c.file {
					t.Errorf("the file is %q", d.File)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if len(problems) != len(c.wrong) {
				t.Fatalf("problems %q, want %q", problems, c.wrong)
			}
			for i, p := range problems {
				if !strings.Contains(p, c.wrong[i]) {
					t.Errorf("problem %q does not say %q", p, c.wrong[i])
				}
				if strings.Contains(p, "\n") {
					t.Errorf("more than one line: %q", p)
				}
			}
		})
	}
}

func TestStop(t *testing.T) {
	n := 0
	read(strings.NewReader("a\nb\nc\n"), File{Name: "a.txt", Format: Text}, Options{Unit: Line}, nil, func(Document, error) bool { n++; return n < 2 })
	if n != 2 {
		t.Errorf("asked %d times", n)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.txt", "a/z.jsonl.gz", "a/x.png", "a/.hidden.txt", ".git/config.txt", "c.HTML", "plain"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Find([]string{dir, filepath.Join(dir, "plain"), filepath.Join(dir, "b.txt")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range f.Files {
		name, err := filepath.Rel(dir, x.Path)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(filepath.ToSlash(name), " ", x.Format, " ", x.Gzip))
	}
	if want := []string{"a/z.jsonl.gz jsonl true", "b.txt text false", "c.HTML html false", "plain text false"}; !slices.Equal(got, want) || f.Ignored != 2 || f.Hidden != 2 {
		t.Errorf("%q, %d ignored, %d hidden", got, f.Ignored, f.Hidden)
	}
	other := filepath.Join(dir, "x.json")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Find([]string{other}); err == nil || !strings.Contains(err.Error(), "convert it first") {
		t.Errorf("%v", err)
	}
}

// FuzzRead: whatever a file holds, reading ends, documents are UTF-8 and not empty, and what is wrong is one line.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"a.txt", "a.jsonl", "a.csv", "a.tsv", "a.html"} {
		f.Add(name, "one\ntwo\n", "line")
		f.Add(name, "{\"text\":\"x\"}\n{", "")
		f.Add(name, "text,b\n\"x\"\"\n\",1\n", "paragraph")
		f.Add(name, "<p>a<pre>\n b</pre><script>", "file")
		f.Add(name, "\xff\xfea\x00\x00\xd8", "")
		f.Add(name, "\xd6\xd0\xce\xc4", "")
	}
	f.Fuzz(func(t *testing.T, name, content, unit string) {
		o := Options{Unit: Unit(unit), Max: 1 << 12}
		if o.Check() != nil {
			o.Unit = ""
		}
		docs, problems := all(filepath.Base(name), content, o)
		for _, d := range docs {
			if strings.TrimSpace(d.Text) == "" || d.Text != strings.ToValidUTF8(d.Text, "") || d.Line < 1 {
				t.Errorf("line %d: %q", d.Line, d.Text)
			}
		}
		for _, p := range problems {
			if strings.HasPrefix(p, "no BadRecord") {
				t.Error(p)
			}
		}
	})
}

// TestPairs: records that are learnt from have a prompt and a completion in place of a text.
func TestPairs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	lines := `{"prompt":"a","completion":"b"}` + "\n" + `{"prompt":"c\n","completion":"d"}` + "\n" + `{"text":"e"}` + "\n" + `{"prompt":"f"}` + "\n" + `{"prompt":null,"completion":"g"}` + "\n"
	if err := os.WriteFile(path, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := Find([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	for _, pairs := range []bool{true, false} {
		var got, bad []string
		for d, err := range Read(found.Files[0], Options{Pairs: pairs}, nil) {
			if err != nil {
				bad = append(bad, err.Error())
				continue
			}
			got = append(got, d.Text)
		}
		want := []string{"a\nb", "c\nd", "e"}
		if !pairs {
			want = want[2:]
		}
		if !slices.Equal(got, want) || len(bad) != 5-len(want) {
			t.Errorf("pairs %v: %q, bad %q", pairs, got, bad)
		}
	}
}
