package eval_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/runtime/eval"
)

type metricsCase struct {
	Is        []string `json:"is"`
	Predicted []string `json:"predicted"`
	Labels    []string `json:"labels"`
}

type metricsGolden struct {
	metricsCase
	Accuracy               float64
	Micro, Macro, Weighted eval.Average
	Classes                []eval.Class
	Confusion              [][]int
}

func checkMetrics(t *testing.T, data []byte) {
	t.Helper()
	var cases []metricsGolden
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 40 {
		t.Fatalf("%d cases", len(cases))
	}
	same := func(a, b eval.Average) bool {
		return math.Abs(a.Precision-b.Precision) < 1e-12 && math.Abs(a.Recall-b.Recall) < 1e-12 && math.Abs(a.F1-b.F1) < 1e-12
	}
	for i, want := range cases {
		got, err := eval.Classify(want.Is, want.Predicted, want.Labels)
		if err != nil {
			t.Fatal(err)
		}
		ok := math.Abs(got.Accuracy-want.Accuracy) < 1e-12 && same(got.Micro, want.Micro) && same(got.Macro, want.Macro) && same(got.Weighted, want.Weighted) && len(got.Classes) == len(want.Classes)
		for j := range want.Classes {
			ok = ok && got.Classes[j].Label == want.Classes[j].Label && got.Classes[j].Support == want.Classes[j].Support && same(got.Classes[j].Average, want.Classes[j].Average)
		}
		for r := range want.Confusion {
			ok = ok && slices.Equal(got.Confusion[r][:len(want.Confusion)], want.Confusion[r])
		}
		if !ok {
			t.Errorf("case %d %q %q %q:\ngot  %+v\nwant %+v", i, want.Is, want.Predicted, want.Labels, got, want)
		}
	}
}

// TestMetrics compares with what scikit-learn gave: build/golden/metrics.py.
func TestMetrics(t *testing.T) {
	data, err := os.ReadFile("testdata/metrics.json")
	if err != nil {
		t.Fatal(err)
	}
	checkMetrics(t, data)
}

// TestMetricsLive compares with scikit-learn itself on other predictions.
func TestMetricsLive(t *testing.T) {
	python := os.Getenv("LEDGE_TEST_PYTHON_SKLEARN")
	if python == "" {
		t.Skip("LEDGE_TEST_PYTHON_SKLEARN does not name a Python with scikit-learn")
	}
	r := rand.New(rand.NewPCG(rand.Uint64(), 1))
	var cases []metricsCase
	for range 200 {
		c := metricsCase{}
		names := 1 + r.IntN(12)
		for range 1 + r.IntN(100) {
			c.Is = append(c.Is, fmt.Sprint("l", r.IntN(names)))
			c.Predicted = append(c.Predicted, fmt.Sprint("l", r.IntN(names+1)))
		}
		if r.IntN(2) == 0 {
			c.Labels = slices.Compact(slices.Sorted(slices.Values(c.Is)))
		}
		cases = append(cases, c)
	}
	data, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cases.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "../../build/golden/metrics.py", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	checkMetrics(t, out)
}
