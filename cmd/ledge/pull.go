package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func (a *app) pullCommand() *cli.Command {
	c := &cli.Command{
		Name:   "pull",
		Usage:  "download a model",
		Flags:  []cli.Flag{offlineFlag(), quietFlag()},
		Action: a.pull,
	}
	return describe(c, "ledge pull NAME...", `
Downloads what is not on this machine yet and writes the model's path. An interrupted
download goes on where it stopped. Models live in ledge/models in the user's data
folder; LEDGE_MODELS names another. NAME is

   smollm2:135m                       a short name (ledge models list --all)
   hf:owner/repo[:file or quant]      a repository of the Hugging Face hub
   ms:owner/repo[:file or quant]      a repository of ModelScope
   https://host/model.gguf            any address; #sha256=... checks the file`,
		`ledge pull smollm2:135m`,
		`ledge pull hf:ggml-org/gemma-3-270m-GGUF:Q8_0`,
		`HF_ENDPOINT=https://mirror.example.org ledge pull qwen3:0.6b`)
}

func (a *app) pull(c *cli.Context) error {
	if c.NArg() == 0 {
		return usagef("no model to pull: name one; ledge models list --all shows the short names")
	}
	cfg, err := a.readConfig()
	if err != nil {
		return err
	}
	for _, name := range c.Args().Slice() {
		path, err := a.locate(c.Context, name, a.offline(c, cfg))
		if err != nil {
			return err
		}
		if err := a.out.Show(fmt.Sprintln(path)); err != nil {
			return err
		}
	}
	return nil
}
