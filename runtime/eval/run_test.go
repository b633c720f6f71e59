package eval_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/grammar/jsonschema"
	"github.com/ledge-run/ledge/runtime/sampler"
)

func readData(t *testing.T, text string) *eval.Data {
	t.Helper()
	d, err := eval.ReadData(strings.NewReader(text), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const choices = `{"text":"the rain","label":"thin inner","options":["the other thing","thin inner","in"]}
{"text":"the other ","label":0,"options":["then","a thing in the rain","rain in it"]}
{"text":"inner","label":2,"options":["in","then the","the"]}`

// logp is the log-probability of tokens[n:] after tokens[:n], from all rows of a
// single run.
func logp(t *testing.T, m *engine.Model, tokens []int32, n int) (sum float64) {
	t.Helper()
	v := m.Vocab()
	err := m.Logits(context.Background(), tokens, func(first int, logits []float32) error {
		for k := range len(logits) / v {
			if at := first + k; at >= n-1 && at+1 < len(tokens) {
				lp, err := sampler.Logprob(logits[k*v:(k+1)*v], tokens[at+1])
				if err != nil {
					return err
				}
				sum += float64(lp)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// TestLikelihood: scores are those of whole sequences, the choice follows from them,
// and several items at once change nothing.
func TestLikelihood(t *testing.T) {
	m := tinySeqs(t, 3)
	d := readData(t, choices)
	var first string
	for _, parallel := range []int{1, 3} {
		r, err := eval.Run(context.Background(), m, d, eval.Plan{Prompting: eval.Prompting{Raw: true}, Parallel: parallel})
		if err != nil {
			t.Fatal(err)
		}
		if r.By != eval.Likelihood || r.Items != 3 || r.ScoreNorm == nil || r.Classes != nil || r.PromptTokens == 0 || !(r.TokensPerSecond > 0) {
			t.Errorf("%+v", r)
		}
		right := 0
		for i, o := range r.Outcomes {
			item := d.Items[i]
			best := math.Inf(-1)
			want := ""
			for k, s := range o.Scores {
				text := strings.TrimRight(item.Text, " ") + " " + item.Options[k]
				whole, context := m.Encode(text, true, false), m.Encode(strings.TrimRight(item.Text, " "), true, false)
				sum := logp(t, m, whole, len(context))
				if s.Option != item.Options[k] || s.Tokens != len(whole)-len(context) || math.Abs(s.LogP-sum) > 1e-6 || math.Abs(s.Norm-sum/float64(len(s.Option))) > 1e-6 {
					t.Errorf("%q: %+v, want %g", text, s, sum)
				}
				if sum > best {
					best, want = sum, s.Option
				}
			}
			if o.Predicted != want || o.Right != (want == item.Is) {
				t.Errorf("%+v, want %q", o, want)
			}
			if o.Right {
				right++
			}
		}
		if r.Score != float64(right)/3 {
			t.Errorf("score %g, %d right", r.Score, right)
		}
		text := toJSON(t, r.Outcomes)
		if first == "" {
			first = text
		} else if text != first {
			t.Errorf("three at once give\n%s\none by one\n%s", text, first)
		}
	}
	shown, err := eval.Run(context.Background(), m, d, eval.Plan{Prompting: eval.Prompting{Raw: true, Template: "{text}\n{options}", Examples: d.Items[:1]}, Normalise: true})
	if err != nil || shown.Items != 3 || shown.Score != *shown.ScoreNorm || toJSON(t, shown.Outcomes) == first {
		t.Errorf("%+v, %v", shown, err)
	}
	chat := readData(t, `{"text":"in","label":0,"options":["a","the"]}`)
	if r, err := eval.Run(context.Background(), m, chat, eval.Plan{}); err != nil || r.Items != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// tinySeqs opens the tiny model for several sequences.
func tinySeqs(t *testing.T, n int) *engine.Model {
	t.Helper()
	return tinyWith(t, func([]byte) {}, engine.Options{Threads: 1, Sequences: n})
}

func TestGeneration(t *testing.T) {
	m := tinySeqs(t, 2)
	labels := readData(t, `{"text":"the","label":"a"}`+"\n"+`{"text":"in","label":"b"}`)
	r, err := eval.Run(context.Background(), m, labels, eval.Plan{By: eval.Generation, MaxTokens: 4})
	if err != nil || r.Unanswered == nil || r.Generated == 0 || r.Classes == nil || r.Outcomes[0].Output == nil || r.Outcomes[0].Reason == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	// What a model answers is right when it is what the data says.
	var lines []string
	for i, o := range r.Outcomes {
		line, err := json.Marshal(map[string]any{"text": labels.Items[i].Text, "answer": []string{"nothing", *o.Output}})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	lines = append(lines, `{"text":"the","answer":"nothing that it says"}`)
	r, err = eval.Run(context.Background(), m, readData(t, strings.Join(lines, "\n")), eval.Plan{MaxTokens: 4, Parallel: 2})
	if err != nil || r.Task != eval.Answer || r.By != eval.Generation || !near(r.Score, 2./3) || r.Outcomes[2].Right {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestCommands: a model without sense writes valid JSON with a schema, and none
// without.
func TestCommands(t *testing.T) {
	m := tinySeqs(t, 1)
	d := readData(t, `{"text":"the","command":{"intent":"on","level":1}}`+"\n"+`{"text":"in","command":{"intent":"off","level":""}}`)
	g, err := jsonschema.Compile([]byte(`{"type":"object","properties":{"intent":{"enum":["on"]},"level":{"enum":[1,""]}},"required":["intent","level"]}`), jsonschema.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := eval.Run(context.Background(), m, d, eval.Plan{Grammar: g})
	if err != nil || r.Slots == nil || r.Slots.Valid != 1 || r.Slots.Fields[0].Name != "intent" || r.Slots.Fields[0].Accuracy != .5 || r.Outcomes[0].Reason != "stop" || r.Score != r.Slots.Exact {
		t.Errorf("%s, %v", toJSON(t, r), err)
	}
	r, err = eval.Run(context.Background(), m, d, eval.Plan{MaxTokens: 8})
	if err != nil || r.Slots.Valid != 0 || r.Slots.Exact != 0 || r.Slots.Micro.F1 != 0 {
		t.Errorf("%s, %v", toJSON(t, r), err)
	}
}

func TestRunStops(t *testing.T) {
	m := tinySeqs(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	plan := eval.Plan{Prompting: eval.Prompting{Raw: true}, Progress: func(done, of int) {
		if done == 2 && of == 3 {
			cancel()
		}
	}}
	r, err := eval.Run(ctx, m, readData(t, choices), plan)
	if !errors.Is(err, context.Canceled) || !r.Partial || r.Items != 2 || r.Of != 3 || len(r.Outcomes) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestBadPlans(t *testing.T) {
	m := tinySeqs(t, 1)
	answer := readData(t, `{"text":"the","answer":"x"}`)
	long := readData(t, `{"text":"`+strings.Repeat("the other ", 2000)+`","label":0,"options":["a","b"]}`)
	g, err := jsonschema.Compile([]byte(`true`), jsonschema.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		d   *eval.Data
		p   eval.Plan
		say string
	}{
		{answer, eval.Plan{By: eval.Likelihood}, "generation only"},
		{readData(t, choices), eval.Plan{Grammar: g}, "generation only"},
		{answer, eval.Plan{Prompting: eval.Prompting{Template: "no place"}}, "{text}"},
		{answer, eval.Plan{Prompting: eval.Prompting{Raw: true, System: "x"}}, "no system message"},
		{long, eval.Plan{}, "line 1: the prompt and the option"},
		{long, eval.Plan{By: eval.Generation}, "line 1: "},
	} {
		if _, err := eval.Run(context.Background(), m, c.d, c.p); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%v; want it to say %q", err, c.say)
		}
	}
	p := eval.Prompting{Examples: answer.Items}
	if err := p.Draw(2, 1); err == nil {
		t.Error("two of one example are drawn")
	}
}
