package clidoc

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestOf(t *testing.T) {
	app := &cli.App{
		Name: "p", Usage: "do things",
		CustomAppHelpTemplate: "\nUSAGE:\n   p COMMAND\n\nCOMMANDS:\n\n   p COMMAND --help tells more.\n\n" +
			"EXIT CODES:\n   0    fine\n   1    not\n\nEXAMPLES:\n   p a\n",
		Commands: []*cli.Command{
			{
				Name: "a", Aliases: []string{"aa"}, Usage: "one", UsageText: "p a X\n   p a Y", Description: "   First.\n   \n   Second:\n     x",
				CustomHelpTemplate: "\nEXAMPLES:\n   p a 1\n   p a 2\n",
				Flags: []cli.Flag{
					&cli.IntFlag{Name: "number", Aliases: []string{"n"}, Usage: "take `N` of them", Value: 3},
					&cli.BoolFlag{Name: "fast", Usage: "be fast", Category: "SPEED"},
					&cli.BoolFlag{Name: "secret", Hidden: true},
				},
				Subcommands: []*cli.Command{
					{Name: "s", Usage: "sub", Flags: []cli.Flag{&cli.BoolFlag{Name: "plain", Usage: "no category"}}}, {Name: "t", Hidden: true},
				},
			},
			{Name: "gone", Hidden: true},
			Hidden(),
		},
	}
	var out bytes.Buffer
	app.Writer = &out
	if err := app.Run([]string{"p", Name}); err != nil {
		t.Fatal(err)
	}
	var got Program
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	want := Program{
		Name: "p", Usage: "do things", Synopsis: []string{"p COMMAND"},
		Sections: []Section{{"EXIT CODES", "0    fine\n1    not"}, {"EXAMPLES", "p a"}},
		Commands: []Command{{
			Name: "a", Aliases: []string{"aa"}, Usage: "one", Synopsis: []string{"p a X", "p a Y"}, Description: "First.\n\nSecond:\n  x",
			Examples: []string{"p a 1", "p a 2"},
			Flags: []Flag{
				{Names: []string{"-n", "--number"}, Value: "N", Usage: "take N of them", Default: "3"},
				{Names: []string{"--fast"}, Usage: "be fast", Category: "SPEED"},
			},
			Commands: []Command{{Name: "s", Usage: "sub", Flags: []Flag{{Names: []string{"--plain"}, Usage: "no category"}}}},
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// A program without texts of its own has what it says of itself.
func TestOfPlain(t *testing.T) {
	app := &cli.App{Name: "p", Usage: "u", UsageText: "p [X]", Description: "D.", HideHelp: true, HideVersion: true,
		Flags: []cli.Flag{&cli.StringFlag{Name: "o", Usage: "write to `FILE`"}}}
	app.Setup()
	want := Program{Name: "p", Usage: "u", Synopsis: []string{"p [X]"}, Sections: []Section{{"DESCRIPTION", "D."}},
		Flags: []Flag{{Names: []string{"-o"}, Value: "FILE", Usage: "write to FILE"}}}
	if got := Of(app); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}
