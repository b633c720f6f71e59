package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/engine"
)

func (a *app) infoCommand() *cli.Command {
	c := &cli.Command{
		Name:  "info",
		Usage: "show what a model is and what memory it needs",
		Flags: join([]cli.Flag{
			jsonFlag(),
			&cli.BoolFlag{Name: "tensors", Usage: "list the tensors"},
			&cli.BoolFlag{Name: "template", Usage: "write the chat template and nothing else"},
		}, nameFlags(), []cli.Flag{
			&cli.StringFlag{Name: "device", Usage: "`NAME` of the device to plan for", Category: catModel},
			contextFlag(), gpuLayersFlag(), cacheFlag(),
		}),
		Action: a.info,
	}
	return describe(c, "ledge info [FLAGS] [MODEL]", `
Reads the file's head only: no weights are loaded. An architecture that Ledge cannot
run is described as far as the file tells.`,
		`ledge info smollm2:135m`,
		`ledge info model.gguf -c 8192`,
		`ledge info model.gguf --tensors --json | jq ".tensors[0]"`)
}

func (a *app) info(c *cli.Context) error {
	if err := only(c, 1, "one MODEL"); err != nil {
		return err
	}
	o, err := a.options(c)
	if err != nil {
		return err
	}
	f, name, err := a.openFile(c, c.Args().First())
	if err != nil {
		return err
	}
	defer f.Close()
	if c.Bool("template") {
		text, ok := f.String("tokenizer.chat_template")
		if !ok {
			a.note("this model has no chat template")
			return errSilent
		}
		return a.out.Show(text)
	}
	info := describeFile(f, name, c.Bool("tensors"))
	info.Tokenizer, info.Template = describeText(f)
	net, err := engine.Network(f)
	if err != nil {
		info.Problem = err.Error()
	} else {
		info.describeNetwork(net.Info())
		if most := net.Info().Context; o.Context > most {
			info.MemoryProblem = fmt.Sprintf("a context of %d is more than the %d that this model was trained for: give -c %d or less", o.Context, most, most)
			o.Context = most
		}
		var device deviceError
		memory, err := estimate(c.Context, net, o)
		switch {
		case errors.As(err, &device):
			info.MemoryProblem = err.Error()
		case err != nil:
			info.Problem = err.Error()
		case info.MemoryProblem == "":
			info.Memory = memory
		}
	}
	info.Supported = info.Problem == "" && info.Tokenizer.Problem == ""
	if c.Bool("json") {
		return a.out.JSON(info, true)
	}
	info.print(a.out)
	return a.out.Flush()
}
