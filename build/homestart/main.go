// Command homestart measures how soon the built-in model has answered, counted from
// the start of the process, and writes the table in docs/default-model.md:
//
//	go run ./build/homestart -ledge out/bin/ledge -docs docs/default-model.md
//
// Each row is the median of N starts, which take turns. Without -docs the table goes to
// standard output. What is measured is the whole line: a command is written when it is
// complete. The first token was there earlier, by the time that ledge says it took for
// the others. A start that ends without a household command, or with another one than
// the first start's, is an error.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ledge-run/ledge/build/internal/report"
	"github.com/ledge-run/ledge/runtime/bench/stats"
)

// answer is what of ledge run --json is used.
type answer struct {
	Text  string `json:"text"`
	Usage struct {
		Prompt    int `json:"prompt_tokens"`
		Generated int `json:"completion_tokens"`
	} `json:"usage"`
	Timings struct {
		Load     float64 `json:"load_seconds"`
		Prompt   float64 `json:"prompt_seconds"`
		Generate float64 `json:"generation_seconds"`
	} `json:"timings"`
}

// start is one start; times in ms.
type start struct{ first, line, load, prompt, generate, rest, exit float64 }

// row is a sentence, and whether something of earlier starts is remembered.
type row struct {
	text   string
	warm   bool
	starts []start
	said   answer
}

func main() {
	program := flag.String("ledge", "out/bin/ledge", "the program")
	n := flag.Int("n", 20, "starts of each row")
	docs := flag.String("docs", "", "page to write the table into")
	limit := flag.Float64("max", 0, "fail if the median of a first token takes more than so many ms; 0: no limit")
	flag.Parse()
	err := run(*program, *n, *docs, *limit)
	if err != nil {
		fmt.Fprintln(os.Stderr, "homestart:", err)
		os.Exit(1)
	}
}

func run(program string, n int, docs string, limit float64) error {
	if n < 1 {
		return fmt.Errorf("-n %d: it must be 1 or more", n)
	}
	home, err := os.MkdirTemp("", "ledge-start-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	var rows []*row
	for _, text := range []string{"turn on the heater in the bedroom at 6", "把客厅的灯调暗一点"} {
		rows = append(rows, &row{text: text}, &row{text: text, warm: true})
	}
	for i := range n + 1 {
		for _, r := range rows {
			s, err := r.start(program, home)
			if err != nil {
				return err
			}
			if i > 0 { // the first start of all brings the program into memory
				r.starts = append(r.starts, s)
			}
		}
	}
	table := write(rows, n)
	for _, r := range rows {
		if ms := r.median(func(s start) float64 { return s.first }); limit > 0 && ms > limit {
			err = fmt.Errorf("%q: the first token takes %.1f ms, more than %g", r.text, ms, limit)
		}
	}
	if docs == "" {
		_, werr := fmt.Print(table)
		return errors.Join(err, werr)
	}
	return errors.Join(err, report.Insert(docs, "<!-- build/homestart -->\n", "\n"+table+"\n", "<!-- end of build/homestart -->"))
}

// start runs the program once.
func (r *row) start(program, home string) (start, error) {
	cache := filepath.Join(home, "warm")
	if !r.warm {
		cache = filepath.Join(home, "cold")
		if err := os.RemoveAll(cache); err != nil {
			return start{}, err
		}
	}
	cmd := exec.Command(program, "run", "--json", r.text)
	cmd.Env = append(os.Environ(), "LEDGE_MODEL=", "LEDGE_PACK_CACHE="+cache, "XDG_CONFIG_HOME="+filepath.Join(home, "config"))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		return start{}, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return start{}, err
	}
	var a answer
	err = json.NewDecoder(out).Decode(&a) // returns with the object's last byte
	line := time.Since(began)
	if werr := cmd.Wait(); werr != nil || err != nil {
		return start{}, fmt.Errorf("%s run --json %q: %w %s", program, r.text, errors.Join(err, werr), strings.TrimSpace(complaints.String()))
	}
	exit := time.Since(began)
	if r.said.Text == "" {
		r.said = a
	}
	if a.Text != r.said.Text {
		return start{}, fmt.Errorf("%q: %s, and the first time %s", r.text, a.Text, r.said.Text)
	}
	ms := func(seconds float64) float64 { return seconds * 1e3 }
	s := start{line: ms(line.Seconds()), exit: ms(exit.Seconds()), load: ms(a.Timings.Load), prompt: ms(a.Timings.Prompt), generate: ms(a.Timings.Generate)}
	s.first = s.line - s.generate
	s.rest = s.first - s.load - s.prompt
	return s, nil
}

func (r *row) median(of func(start) float64) float64 {
	var all []float64
	for _, s := range r.starts {
		all = append(all, of(s))
	}
	return stats.Median(all)
}

// write makes the table.
func write(rows []*row, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Medians of %d starts, in ms since the process began:\n\n", n)
	b.WriteString("| | first token | whole line | process over | program and flags | loading | prompt | other tokens |\n")
	b.WriteString("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, r := range rows {
		state := "nothing remembered"
		if r.warm {
			state = "as usual"
		}
		fmt.Fprintf(&b, "| %s (%d + %d tokens), %s", r.text, r.said.Usage.Prompt, r.said.Usage.Generated, state)
		for _, of := range []func(start) float64{
			func(s start) float64 { return s.first }, func(s start) float64 { return s.line }, func(s start) float64 { return s.exit },
			func(s start) float64 { return s.rest }, func(s start) float64 { return s.load },
			func(s start) float64 { return s.prompt }, func(s start) float64 { return s.generate },
		} {
			fmt.Fprintf(&b, " | %.1f", r.median(of))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}
