package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/jsonfault"
	"github.com/ledge-run/ledge/runtime/tokenizer"
)

func (a *app) tokenizeCommand() *cli.Command {
	c := &cli.Command{
		Name:  "tokenize",
		Usage: "show the tokens of a text, or the text of tokens",
		Flags: join([]cli.Flag{
			jsonFlag(),
			&cli.BoolFlag{Name: "decode", Aliases: []string{"d"}, Usage: "the arguments are token ids: write their text"},
			&cli.BoolFlag{Name: "special", Usage: "control tokens written in the text become those tokens; with --decode, show them"},
			&cli.BoolFlag{Name: "no-bos", Usage: "do not add the tokens that the model wants around a text"},
		}, nameFlags()),
		Action: a.tokenize,
	}
	return describe(c, "ledge tokenize [FLAGS] TEXT\nledge tokenize [FLAGS] - < FILE\nledge tokenize [FLAGS] --decode ID...", `
Writes a line for each token: its id and its text, quoted. --json writes
{"tokens": [ids], "pieces": [texts]}; a piece that is not UTF-8 by itself is a list
of its bytes. --decode takes ids divided by spaces or commas, or a JSON array, and
writes their text as it is, without a newline (with --json: {"text": ...}).`,
		`ledge tokenize "Hello, world"`,
		`ledge tokenize -m model.gguf --special "<|im_start|>user"`,
		`ledge tokenize --json - < text.txt | jq ".tokens | length"`,
		`ledge tokenize --decode 504 3575 282`)
}

func (a *app) tokenize(c *cli.Context) error {
	text, err := a.text(c.Context, c.Args().Slice(), false)
	if err != nil {
		return err
	}
	if c.NArg() == 0 && !a.piped() {
		return usagef("no text: give one, or - to read it from standard input")
	}
	var ids []int32
	if c.Bool("decode") {
		if ids, err = parseIDs(text); err != nil {
			return err
		}
	}
	f, _, err := a.openFile(c, "")
	if err != nil {
		return err
	}
	defer f.Close()
	t, err := engine.Tokenizer(f)
	if err != nil {
		return inFile(f, err)
	}
	if c.Bool("decode") {
		return a.decode(c, t, ids)
	}
	ids = t.Encode(text, tokenizer.EncodeOptions{AddSpecial: !c.Bool("no-bos"), ParseSpecial: c.Bool("special")})
	if c.Bool("json") {
		return a.writePieces(t, ids)
	}
	for _, id := range ids {
		if _, err := fmt.Fprintf(a.out, "%7d  %q\n", id, t.Piece(id, true)); err != nil {
			return err
		}
	}
	return a.out.Flush()
}

func (a *app) writePieces(t *tokenizer.Tokenizer, ids []int32) error {
	pieces := make([]any, len(ids))
	for i, id := range ids {
		p := t.Piece(id, true)
		if utf8.Valid(p) {
			pieces[i] = string(p)
			continue
		}
		bytes := make([]int, len(p))
		for j, b := range p {
			bytes[j] = int(b)
		}
		pieces[i] = bytes
	}
	if ids == nil {
		ids = []int32{}
	}
	return a.out.JSON(struct {
		Tokens []int32 `json:"tokens"`
		Pieces []any   `json:"pieces"`
	}{ids, pieces}, false)
}

func (a *app) decode(c *cli.Context, t *tokenizer.Tokenizer, ids []int32) error {
	if err := checkIDs(ids, t.Size()); err != nil {
		return err
	}
	text := t.Decode(ids, c.Bool("special"))
	if c.Bool("json") {
		return a.out.JSON(struct {
			Text string `json:"text"`
		}{text}, false)
	}
	if err := a.out.Show(text); err != nil {
		return err
	}
	if a.out.Terminal() {
		return a.out.EndLine()
	}
	return nil
}

// parseIDs reads token ids: a JSON array, or numbers divided by spaces or
// commas.
func parseIDs(text string) ([]int32, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "[") {
		var ids []int32
		if err := json.Unmarshal([]byte(text), &ids); err != nil {
			return nil, fmt.Errorf("token ids: not a JSON array of whole numbers: %w", jsonfault.Of(err))
		}
		return ids, nil
	}
	var ids []int32
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r <= ' ' }) {
		id, err := strconv.ParseInt(w, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("token ids: %q is no token id: give whole numbers divided by spaces or commas", w)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}

// checkIDs reports ids that the vocabulary does not have.
func checkIDs(ids []int32, size int) error {
	for i, id := range ids {
		if id < 0 || int(id) >= size {
			return fmt.Errorf("token ids: number %d is %d: this model's tokens are 0 to %d", i+1, id, size-1)
		}
	}
	return nil
}
