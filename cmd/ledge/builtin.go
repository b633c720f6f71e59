package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/grammar/jsonschema"
	"github.com/ledge-run/ledge/runtime/home"
)

// builtinModel names the model that is a part of the program: household commands to
// JSON.
const builtinModel = "builtin"

// asksBuiltin reports whether it is the model that a command is to take.
func (a *app) asksBuiltin(c *cli.Context) (bool, error) {
	cfg, err := a.readConfig()
	if err != nil {
		return false, err
	}
	name, err := a.modelName(c, cfg, "")
	return name == builtinModel, err
}

// unfit are the flags of ledge run that the built-in model has no use for.
var unfit = []string{"raw", "special", "system", "json-schema", "json-spaces", "ignore-eos", "stop", "n"}

// onProcessor has the built-in model run on the processor, and a single command with one
// thread, unless flags say otherwise: it has answered before a GPU is ready or a second
// thread awake, and what was set for large models is not meant for it.
func onProcessor(c *cli.Context, name string, o engine.Options) engine.Options {
	if name != builtinModel {
		return o
	}
	if !c.IsSet("device") {
		o.Device, o.GPULayers, o.TestOwn = "cpu", nil, true
	}
	if c.Command.Name == "run" && !c.IsSet("threads") {
		o.Threads = 1
	}
	return o
}

// household answers sentences with the built-in model.
type household struct {
	a        *app
	c        *cli.Context
	m        *engine.Model
	set      engine.Settings
	lines    bool // sentences are the lines of something, and are called by their numbers
	answered int
	outside  int   // of these, what was no household command
	why      error // of the last one, if the model took it for one
}

// runBuiltin is ledge run with the built-in model: a line of JSON for each sentence.
func (a *app) runBuiltin(c *cli.Context) error {
	for _, name := range unfit {
		if c.IsSet(name) {
			return usagef("%s: not with the built-in model, which turns household commands into JSON and does nothing else; name a model, such as -m %s", dashed(name), defaultModel)
		}
	}
	set, err := settings(c)
	if err != nil {
		return err
	}
	if !c.IsSet("temp") {
		set.Sampler.Temperature = 0 // a command has one meaning
	}
	next, lines, err := a.sentences(c.Args().Slice())
	if err != nil {
		return err
	}
	schema := make(chan error, 1)
	go func() { // beside the loading: a tenth of a start
		g, err := jsonschema.Compile(home.Schema, jsonschema.Options{})
		set.Grammar = g
		schema <- err
	}()
	m, _, err := a.open(c)
	if serr := <-schema; serr != nil {
		err = errors.Join(err, fmt.Errorf("the schema of household commands: %w", serr))
	}
	if m == nil {
		return err
	}
	if err == nil {
		h := &household{a: a, c: c, m: m, set: set, lines: lines}
		err = h.answerAll(next)
	}
	return errors.Join(err, a.close(m))
}

// sentences gives what is to be answered, one after the other and io.EOF after the
// last: the words of the command line as one, or each line of standard input as it
// comes. lines says that there may be several.
func (a *app) sentences(words []string) (next func(context.Context) (string, error), lines bool, err error) {
	if len(words) == 1 && words[0] == "-" || len(words) == 0 && a.piped() {
		return a.newPipeLines().read, true, nil
	}
	text := strings.Join(words, " ")
	if strings.TrimSpace(text) == "" {
		return nil, false, errNoPrompt()
	}
	left := strings.Split(text, "\n")
	return func(context.Context) (string, error) {
		if len(left) == 0 {
			return "", io.EOF
		}
		line := left[0]
		left = left[1:]
		return line, nil
	}, len(left) > 1, nil
}

func (h *household) answerAll(next func(context.Context) (string, error)) error {
	for n := 1; ; n++ {
		text, err := next(h.c.Context)
		switch {
		case errors.Is(err, io.EOF):
			return h.verdict()
		case err != nil:
			return err
		case strings.TrimSpace(text) == "":
			continue
		}
		if err := checkUTF8("the sentence", text); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := h.answer(text); err != nil {
			return err
		}
		if h.why != nil && h.lines {
			h.a.note("note: line %d is no household command: %v", n, h.why)
		}
	}
}

// verdict is nil if all sentences were household commands.
func (h *household) verdict() error {
	switch {
	case h.answered == 0:
		return errNoPrompt()
	case h.outside == 0:
		return nil
	case !h.lines && h.why != nil:
		return outsideError{fmt.Sprintf("this is no household command: %v; for everything else name a model, such as -m %s", h.why, defaultModel)}
	case h.answered == 1:
		return outsideError{fmt.Sprintf("this is no household command that the built-in model knows; for everything else name a model, such as -m %s", defaultModel)}
	}
	return outsideError{fmt.Sprintf("%d of %d lines are no household command that the built-in model knows; for everything else name a model, such as -m %s",
		h.outside, h.answered, defaultModel)}
}

// answerRoom is how many tokens of the context are left for a command without its
// reply. The longest that the schema allows has some thirty.
const answerRoom = 40

// answer writes the line of a sentence, when it is whole: half a command is none.
func (h *household) answer(text string) error {
	a, m, ctx := h.a, h.m, h.c.Context
	h.answered++
	h.why = nil
	if home.Normal(text) == "" {
		h.outside++
		return h.write(home.None, []int32{}, engine.Usage{Reason: engine.ReasonStop})
	}
	ids := m.Encode(home.Prompt(text), true, false)
	if most := max(1, m.Options.Context-answerRoom); len(ids) > most {
		a.note("note: a text of %d tokens, of which the built-in model reads %d, is no household command", len(ids), most)
		h.outside++
		return h.write(home.None, []int32{}, engine.Usage{PromptTokens: len(ids), Reason: engine.ReasonContext})
	}
	var energy *energyOf
	if h.c.Bool("stats") {
		energy = startEnergy(m)
		defer energy.stop()
	}
	s := m.NewSession()
	defer s.Close()
	var line strings.Builder
	tokens := []int32{}
	for p, err := range s.Generate(ctx, ids, h.set) {
		switch {
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return ofLimit(err)
		}
		if len(tokens) == 0 && energy != nil {
			energy.answer()
		}
		tokens = append(tokens, p.ID)
		line.WriteString(p.Text)
	}
	u := s.Usage()
	answer, err := whole(line.String(), u.Reason, m.Options.Context)
	if err != nil {
		return err
	}
	if answer, h.why = home.Answer(text, answer); h.why != nil {
		tokens = []int32{} // they are of what is not done
	}
	if c, err := home.Parse(answer); err != nil || c.Intent == "none" {
		h.outside++
	}
	if err := h.write(answer, tokens, u); err != nil {
		return err
	}
	if energy != nil {
		energy.stop()
		a.stats(m, u)
		a.energyStats(energy, u)
		a.limitStats(u, h.answered > 1)
	}
	return nil
}

// whole is a line that ended for a reason. If that is a full context, the command stands
// before the reply, which is left out.
func whole(line string, r engine.Reason, context int) (string, error) {
	if r == engine.ReasonStop {
		return line, nil
	}
	bare, ok := home.WithoutReply(line)
	if !ok {
		return "", fmt.Errorf("the context of %d tokens is too small for a command: give -c more, or leave it away", context)
	}
	return bare, nil
}

// write writes a line, or with --json all that there is to say of it.
func (h *household) write(line string, tokens []int32, u engine.Usage) error {
	if !h.c.Bool("json") {
		return h.a.out.Show(line + "\n")
	}
	return h.a.out.JSON(h.a.newRunResult(h.m, builtinModel, line, tokens, u), false)
}
