package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/internal/sample"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/report"
)

func write(t *testing.T, records []record.Record, o report.Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, records, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPage(t *testing.T) {
	text := write(t, sample.Records(), report.Options{Signer: "0000:1111", Version: "0.1"})
	for _, want := range []string{
		"<title>sample</title>", "48 rounds, 2026-03-04 05:01 to 2026-03-04 05:03 UTC", "0000:1111",
		"Ledge generates at 1.80 times the speed of llama.cpp: the median of 16 tests",
		"virtual machine (kvm)", "4 of 48 rounds were disturbed", "openvino failed, exit status 139: &lt;segfault&gt;: in 16 tests, such as m0/t1/d0.",
		"客厅模型 &lt;1B&gt; &amp; more tg64 @ d4096, 2 threads", "<td>2 of 3</td>", "Energy of a token, J", "Most memory resident, MB",
		"RAPL package-0 (package)", "INA3221: no such chip", "cpu0 2900–3000", "llama-bench -m M", "客厅 &lt;/script&gt;&lt;b&gt;",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if n := strings.Count(text, "</script>"); n != 1 {
		t.Errorf("%d scripts end", n)
	}
	if strings.Contains(text, "ZgotmplZ") || strings.Contains(text, "NaN") {
		t.Error("the page has what the template refused, or no numbers")
	}
	if again := write(t, sample.Records(), report.Options{Signer: "0000:1111", Version: "0.1"}); again != text {
		t.Error("the same records gave another page")
	}
	// The records in it are the records.
	_, data, _ := strings.Cut(text, `id="records">`)
	data, _, _ = strings.Cut(data, "</script>")
	var back []record.Record
	if err := json.Unmarshal([]byte(data), &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, sample.Records()) {
		t.Error("the records in the page are others")
	}
}

func TestLittle(t *testing.T) {
	if err := report.Write(&bytes.Buffer{}, nil, report.Options{}); err == nil {
		t.Error("nothing gave a page")
	}
	text := write(t, []record.Record{{Time: time.Unix(0, 0), Runs: []record.Run{{Engine: record.Engine{Name: record.Ledge}, Failure: "crashed"}}}}, report.Options{Title: "<b>"})
	for _, want := range []string{"<title>&lt;b&gt;</title>", "1 rounds, 1970-01-01 00:00 UTC"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q:\n%s", want, text)
		}
	}
	if err := report.Write(full{}, sample.Records(), report.Options{}); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
}

var errFull = errors.New("no space left")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1234.5: "1234", 99.96: "100", 12.345: "12.3", 9.996: "10.0", 1.234: "1.23", 0.9996: "1.00",
		0.5: "0.500", -0.0123: "-0.012", 1e-5: "1e-05", 2.5e7: "2.5e+07"} {
		if got := report.Short(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}

// save keeps what a test made, to look at, where LEDGE_TEST_PICTURES says.
func save(t *testing.T, name string, data []byte) {
	if dir := os.Getenv("LEDGE_TEST_PICTURES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
