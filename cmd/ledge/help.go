package main

import (
	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
)

const appHelp = `
USAGE:
   ledge COMMAND [FLAGS] [ARGUMENTS]      flags may also follow the arguments

COMMANDS:

   ledge COMMAND --help tells more about a command.

MODELS:
   A model is named by a file (model.gguf, of split files the first), a short name
   (smollm2:135m; see ledge models list --all), hf:owner/repo[:file or quant],
   ms:owner/repo (ModelScope) or an address. What is not on this machine yet is
   downloaded once. Without a name: LEDGE_MODEL, else "model" in the configuration
   file, else ` + defaultModel + `; of ledge run ` + builtinModel + `, the model that is a part of this program. What finetune, imatrix
   and merge make something of has to be named.

ENVIRONMENT:
   LEDGE_MODEL    model of commands that name none
   LEDGE_MODELS   folder of the downloaded models
   LEDGE_DEVICE   device to use (see ledge devices)
   LEDGE_GPU_LAYERS
                  layers to run on the GPU, the others on the CPU (default: as many as fit)
   LEDGE_OFFLINE  1: download nothing
   LEDGE_CPU      kernel level of the processor, such as avx2 or generic
   LEDGE_GPU      features of GPUs to switch off, such as -subgroup,-half; docs/devices.md has more
   HF_ENDPOINT    address of the Hugging Face hub or of a mirror; HF_TOKEN goes there only

CONFIGURATION:
   ledge/config.json in the user's configuration folder (~/.config):
   {"model": "qwen3:0.6b", "device": "cpu", "threads": 2, "offline": false}

` + exitCodesHelp + `
EXAMPLES:
   ledge run "turn on the heater in the bedroom at 6"
   ledge run -m ` + defaultModel + ` "Why is the sky blue?"
   ledge chat -m qwen3:0.6b
   git diff | ledge run -m qwen3:0.6b "Write a commit message for this change:"
   ledge chat --max-temp 70 --battery-floor 20
`

func (a *app) helpCommand() *cli.Command {
	return console.HelpCommand("ledge", a.out, exitCodesHelp, a.newCLI)
}
