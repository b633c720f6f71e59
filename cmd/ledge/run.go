package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/chat"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/hub"
)

func (a *app) runCommand() *cli.Command {
	c := &cli.Command{
		Name:  "run",
		Usage: "do a household command, answer a prompt, or continue a text",
		Flags: join([]cli.Flag{
			&cli.BoolFlag{Name: "raw", Usage: "continue the text as it stands, without the model's chat template"},
			&cli.BoolFlag{Name: "special", Usage: "with --raw: control tokens written in the text become those tokens"},
			&cli.BoolFlag{Name: "ignore-eos", Usage: "go on when the model ends its answer"},
			&cli.BoolFlag{Name: "json", Usage: "write one JSON object at the end: text, tokens, usage, reason"},
		}, generationFlags(), limitFlags(), nameFlags(), []cli.Flag{loraFlag()}, deviceFlags()),
		Action: a.run,
	}
	return describe(c, "ledge run [FLAGS] PROMPT...\nledge run [FLAGS] - < FILE", `
Without -m, LEDGE_MODEL and a configured model it is the built-in model, also named
`+builtinModel+`, that answers: it turns a household command in Chinese or English into a line
of JSON, on the processor and without a network. From standard input each line is a
command and is answered as it comes. For what is no household command the line says so
("intent":"none"), and the exit code is 6. docs/default-model.md tells more. What follows
is about every other model.

The words of PROMPT are joined by spaces. "-", or a pipe without a PROMPT, reads
the prompt from standard input; with a PROMPT and a pipe, what comes through the
pipe follows the prompt after an empty line. A last newline is left out.

The answer goes to standard output as it is generated. Ctrl-C ends it: what there is
stays, the exit code is 130. With --json nothing is streamed; "reason" is stop (the
model ended, or a stop string came), length (-n), context (the context is full), limit
(the battery is at its floor) or cancel. Limits of the machine slow an answer down and
never change it; docs/power.md says how.

--json-schema binds the answer to a JSON schema: docs/json-schema.md says what of it
is supported. -n and a full context may cut the JSON: then a line on standard error says
so, also with -q, and the exit code is 1. "reason" is stop where it is whole.`,
		`ledge run "turn on the heater in the bedroom at 6"`,
		`ledge run "把客厅的灯调暗一点" | jq -r .value`,
		`ledge run -m smollm2:135m "Why is the sky blue?"`,
		`ledge run -m qwen3:0.6b --system "Answer in Chinese." "Why is the sky blue?"`,
		`git diff | ledge run -m qwen3:0.6b "Write a commit message for this change:"`,
		`ledge run -m smollm2:135m --raw -n 32 --temp 0 "The capital of France is"`,
		`ledge run -m base.gguf --lora adapter.gguf:0.5 "Turn on the light."`,
		`ledge run -m smollm2:135m --json "Name a colour." | jq -r .text`,
		`ledge run -m qwen3:0.6b --json-schema person.json "Ada Lovelace was born in 1815." | jq .`,
		`ledge run -m qwen3:0.6b --max-watts 10 --max-temp 70 --stats "Tell me a long story."`)
}

// runResult is the output of ledge run --json.
type runResult struct {
	Model   string        `json:"model"`
	Adapter []string      `json:"adapters,omitempty"` // files
	Text    string        `json:"text"`
	Tokens  []int32       `json:"tokens"`
	Reason  engine.Reason `json:"reason"`
	Seed    uint64        `json:"seed"`
	Usage   runUsage      `json:"usage"`
	Timings runTimings    `json:"timings"`
	Device  string        `json:"device"`
	Memory  int64         `json:"peak_memory_bytes,omitempty"`
}

type runUsage struct {
	Prompt    int `json:"prompt_tokens"`
	Cached    int `json:"cached_tokens"`
	Generated int `json:"completion_tokens"`
	Total     int `json:"total_tokens"`
}

type runTimings struct {
	Load             float64 `json:"load_seconds"`
	Prompt           float64 `json:"prompt_seconds"`
	Generate         float64 `json:"generation_seconds"`
	PromptPerSecond  float64 `json:"prompt_tokens_per_second"`
	GeneratePerScond float64 `json:"generation_tokens_per_second"`

	// With limits of the machine: how long of both it was held up, and its threads.
	Paused  float64 `json:"paused_seconds,omitempty"`
	Threads float64 `json:"mean_threads,omitempty"`
}

func (a *app) run(c *cli.Context) error {
	if is, err := a.asksBuiltin(c); err != nil {
		return err
	} else if is {
		return a.runBuiltin(c)
	}
	set, err := settings(c)
	if err != nil {
		return err
	}
	set.IgnoreEOG = c.Bool("ignore-eos")
	if set.Grammar, err = a.grammar(c); err != nil {
		return err
	}
	raw, system := c.Bool("raw"), c.String("system")
	switch {
	case raw && system != "":
		return usagef("--raw and --system exclude each other: without a template there is no system message")
	case c.Bool("special") && !raw:
		return usagef("--special goes with --raw only")
	}
	if err := checkUTF8("the system message", system); err != nil {
		return err
	}
	prompt, err := a.text(c.Context, c.Args().Slice(), true)
	if err != nil {
		return err
	}
	if strings.TrimSpace(prompt) == "" && (prompt == "" || !raw) {
		return errNoPrompt()
	}
	m, name, err := a.open(c)
	if err != nil {
		return err
	}
	ids, err := a.promptTokens(m, prompt, system, raw, c.Bool("special"), renderFor(set.Grammar))
	if err == nil {
		err = a.generate(c, m, name, ids, set)
	}
	return errors.Join(err, a.close(m))
}

func errNoPrompt() error {
	return usagef("the prompt is empty: give a text, or - to read it from standard input")
}

// promptTokens encodes a prompt, through the chat template unless raw.
func (a *app) promptTokens(m *engine.Model, prompt, system string, raw, special bool, o chat.RenderOptions) ([]int32, error) {
	if raw {
		return m.EncodePrompt(prompt, special), nil
	}
	t, err := m.Chat()
	if err != nil {
		return nil, err
	}
	a.noteFallback(t)
	var msgs []chat.Message
	if system != "" {
		msgs = append(msgs, chat.Message{Role: "system", Content: system})
	}
	return m.ChatPrompt(append(msgs, chat.Message{Role: "user", Content: prompt}), o)
}

func (a *app) noteFallback(t *chat.Template) {
	if t.Fallback() {
		a.note("note: this model has no chat template, ChatML stands in for it; --raw continues a text without any")
	}
}

// generate runs a prompt and writes the answer.
func (a *app) generate(c *cli.Context, m *engine.Model, name string, ids []int32, set engine.Settings) error {
	if err := m.CheckPrompt(ids); err != nil {
		if errors.Is(err, engine.ErrEmptyPrompt) {
			return usagef("%s", err)
		}
		return fmt.Errorf("%w; -c N sets it", err)
	}
	s := a.newReader(m)
	defer s.Close()
	var energy *energyOf
	if c.Bool("stats") {
		energy = startEnergy(m)
		defer energy.stop()
	}
	ctx, asJSON := c.Context, c.Bool("json")
	var text strings.Builder
	tokens := []int32{}
	var failed error
	for p, err := range s.Generate(ctx, ids, set) {
		if failed = err; err != nil {
			break
		}
		if len(tokens) == 0 && energy != nil {
			energy.answer()
		}
		tokens = append(tokens, p.ID)
		text.WriteString(p.Text)
		if !asJSON && p.Text != "" {
			if failed = a.out.Show(p.Text); failed != nil {
				break
			}
		}
	}
	u := s.Usage()
	if energy != nil {
		energy.stop()
	}
	atLimit := u.Reason == engine.ReasonLimit
	switch {
	case failed != nil && ctx.Err() == nil && !atLimit:
		if !asJSON {
			_ = a.out.EndLine() // the failure that came first counts
		}
		return failed
	case asJSON:
		r := a.newRunResult(m, name, text.String(), tokens, u)
		if err := a.out.JSON(r, false); err != nil {
			return err
		}
	default:
		if err := a.out.EndLine(); err != nil {
			return err
		}
	}
	if energy != nil {
		a.stats(m, u)
		a.energyStats(energy, u)
		a.limitStats(u, false)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if atLimit {
		return ofLimit(failed)
	}
	if err := cutJSON(m, set, u); err != nil {
		return err
	}
	if u.Reason == engine.ReasonContext && !asJSON {
		a.note("note: the context of %d tokens is full, the answer is cut; %s", m.Options.Context, largerContext(m))
	}
	return nil
}

// cutJSON is what a program must hear of an answer that a schema binds, and that ended
// before it was whole.
func cutJSON(m *engine.Model, set engine.Settings, u engine.Usage) error {
	switch {
	case set.Grammar == nil:
	case u.Reason == engine.ReasonLength:
		return fmt.Errorf("the JSON is not whole: -n %d cut it", set.MaxTokens)
	case u.Reason == engine.ReasonContext:
		return fmt.Errorf("the JSON is not whole: the context of %d tokens is full; %s", m.Options.Context, largerContext(m))
	}
	return nil
}

// largerContext says how a context can be larger, if it can.
func largerContext(m *engine.Model) string {
	if most := m.Network.Info().Context; m.Options.Context < most {
		return fmt.Sprintf("-c sets a larger one (the model was trained for %d)", most)
	}
	return "the model was trained for no more"
}

func (a *app) newRunResult(m *engine.Model, name, text string, tokens []int32, u engine.Usage) runResult {
	var adapters []string
	for _, u := range m.Options.Adapters {
		adapters = append(adapters, u.File.Name())
	}
	r := runResult{
		Model: name, Adapter: adapters, Text: text, Tokens: tokens, Reason: u.Reason, Seed: u.Seed, Device: m.Device().Name, Memory: peakMemory(),
		Usage: runUsage{Prompt: u.PromptTokens, Cached: u.CachedTokens, Generated: u.GeneratedTokens, Total: u.PromptTokens + u.GeneratedTokens},
		Timings: runTimings{
			Load: m.LoadTime.Seconds(), Prompt: u.PromptTime.Seconds(), Generate: u.GenerateTime.Seconds(),
			PromptPerSecond:  rate(u.PromptTokens-u.CachedTokens, u.PromptTime),
			GeneratePerScond: rate(u.GeneratedTokens-1, u.GenerateTime),
		},
	}
	if a.governor != nil {
		r.Timings.Paused, r.Timings.Threads = u.Paused.Seconds(), a.governor.Report().Threads
	}
	return r
}

// rate is n per second; 0 where nothing was timed.
func rate(n int, d time.Duration) float64 {
	if n <= 0 || d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// stats prints the figures of a generation on standard error.
func (a *app) stats(m *engine.Model, u engine.Usage) {
	w := a.stderr
	fmt.Fprintf(w, "load      %.2f s, weights %s\n", m.LoadTime.Seconds(), m.Origin())
	fmt.Fprintf(w, "prompt    %d tokens (%d cached), %.2f s, %.1f tok/s\n", u.PromptTokens, u.CachedTokens, u.PromptTime.Seconds(), rate(u.PromptTokens-u.CachedTokens, u.PromptTime))
	fmt.Fprintf(w, "generate  %d tokens, %.2f s, %.1f tok/s\n", u.GeneratedTokens, u.GenerateTime.Seconds(), rate(u.GeneratedTokens-1, u.GenerateTime))
	if n := peakMemory(); n > 0 {
		fmt.Fprintf(w, "memory    %s at its peak\n", hub.FormatBytes(n))
	}
	d := m.Device()
	fmt.Fprintf(w, "device    %s: %s\n", d.Name, oneLine(d.Description))
	fmt.Fprintf(w, "seed      %d\n", u.Seed)
	fmt.Fprintf(w, "ended     %s\n", u.Reason)
}
