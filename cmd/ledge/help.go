package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

const appHelp = `ledge: {{.Usage}}

USAGE:
   ledge COMMAND [FLAGS] [ARGUMENTS]      flags may also follow the arguments

COMMANDS:
{{- range .VisibleCommands}}
   {{printf "%-12s" .Name}} {{.Usage}}
{{- end}}

   ledge COMMAND --help tells more about a command.

MODELS:
   A model is named by a file (model.gguf, of split files the first), a short name
   (smollm2:135m; see ledge models list --all), hf:owner/repo[:file or quant],
   ms:owner/repo (ModelScope) or an address. What is not on this machine yet is
   downloaded once. Without a name: LEDGE_MODEL, else "model" in the configuration
   file, else ` + defaultModel + `.

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
   ledge run "Why is the sky blue?"
   ledge chat -m qwen3:0.6b
   git diff | ledge run "Write a commit message for this change:"
   ledge chat --max-temp 70 --battery-floor 20
`

// commandHelp is the help of a command; its examples follow.
const commandHelp = `{{.HelpName}}: {{.Usage}}

USAGE:
   {{.UsageText}}
{{- if .Description}}

{{.Description}}
{{- end}}
{{- if .Subcommands}}

COMMANDS:
{{- range .VisibleCommands}}
   {{printf "%-12s" .Name}} {{.Usage}}
{{- end}}
{{- end}}
{{- if .VisibleFlagCategories}}
{{- range .VisibleFlagCategories}}

{{if .Name}}{{.Name}}{{else}}FLAGS{{end}}:
{{- range .Flags}}
   {{.}}
{{- end}}
{{- end}}
{{- end}}
`

func init() { cli.FlagStringer = flagLine }

// describe sets a command's help: usage lines, what it does, examples.
func describe(c *cli.Command, usage, text string, examples ...string) *cli.Command {
	c.UsageText = strings.ReplaceAll(usage, "\n", "\n   ")
	if text != "" {
		c.Description = "   " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n   ")
	}
	c.CustomHelpTemplate = commandHelp + "\nEXAMPLES:\n   " + strings.Join(examples, "\n   ") + "\n"
	return c
}

// flagLine is how help shows a flag: short names first, a default only where
// there is one.
func flagLine(f cli.Flag) string {
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return ""
	}
	usage, value := d.GetUsage(), ""
	if a, rest, ok := strings.Cut(usage, "`"); ok {
		if b, c, ok := strings.Cut(rest, "`"); ok {
			usage, value = a+b+c, " "+b
		}
	}
	var names []string
	for _, n := range f.Names() {
		names = append(names, dashed(n))
	}
	slices.SortFunc(names, func(a, b string) int { return len(a) - len(b) })
	switch v := d.GetDefaultText(); v {
	case "", "0", "-1", "false":
	default:
		usage += " (default: " + strings.Trim(v, `"`) + ")"
	}
	return fmt.Sprintf("%-30s %s", strings.Join(names, ", ")+value, usage)
}

func (a *app) helpCommand() *cli.Command {
	c := &cli.Command{
		Name:  "help",
		Usage: "help about a command, or: exit-codes",
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			switch {
			case len(words) == 0:
				return cli.ShowAppHelp(c.Lineage()[len(c.Lineage())-2])
			case words[0] == "exit-codes":
				_, err := io.WriteString(a.out, exitCodesHelp)
				return err
			}
			// Asking the command itself shows the same as --help.
			cmd := find(c.App.Commands, words[0])
			if cmd == nil {
				return usagef("no command %q%s; see ledge help", words[0], suggest(words[0], names(c.App.Commands)))
			}
			path := []string{cmd.Name}
			if len(words) > 1 && find(cmd.Subcommands, words[1]) != nil {
				path = append(path, words[1])
			}
			return a.newCLI().RunContext(c.Context, append(append([]string{"ledge"}, path...), "--help"))
		},
	}
	return describe(c, "ledge help [COMMAND]", "", "ledge help run", "ledge help exit-codes")
}

// only refuses arguments beyond those that a command takes.
func only(c *cli.Context, most int, what string) error {
	if c.NArg() <= most {
		return nil
	}
	if most == 0 {
		return usagef("%s takes no arguments, %q was given; see %s --help", c.Command.HelpName, c.Args().First(), c.Command.HelpName)
	}
	return usagef("%s takes %s, %d arguments were given (%q); see %s --help",
		c.Command.HelpName, what, c.NArg(), strings.Join(c.Args().Slice(), " "), c.Command.HelpName)
}
