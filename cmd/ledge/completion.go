package main

import (
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/hub"
)

// The scripts ask the program itself: "ledge __complete WORDS... CURRENT" writes
// the candidates, one a line, or nothing where a file name is wanted.
var completionScripts = map[string]string{
	"bash": `# bash completion for ledge
_ledge() {
    local IFS=$'\n' cur line
    line="${COMP_LINE:0:COMP_POINT}"
    cur="${COMP_WORDS[COMP_CWORD]}"
    # A model name has colons, at which bash divides words: join them again.
    local words=() w glued=0 i
    for ((i = 1; i <= COMP_CWORD; i++)); do
        w="${COMP_WORDS[i]}"
        if [[ ${#words[@]} -gt 0 && ( "$w" == : || $glued == 1 ) ]]; then
            words[${#words[@]}-1]+="$w"
        else
            words+=("$w")
        fi
        if [[ "$w" == : ]]; then glued=1; else glued=0; fi
    done
    local full="${words[${#words[@]}-1]}"
    COMPREPLY=($(ledge __complete -- "${words[@]}" 2>/dev/null))
    if [[ "$full" == *:* ]]; then
        local prefix="${full%"${full##*:}"}"
        COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    fi
    if [[ ${#COMPREPLY[@]} -eq 0 ]]; then COMPREPLY=($(compgen -f -- "$cur")); fi
}
complete -o bashdefault -F _ledge ledge
`,
	"zsh": `#compdef ledge
# zsh completion for ledge
_ledge() {
    local -a found
    found=("${(@f)$(ledge __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ ${#found} -gt 0 && -n "${found[1]}" ]]; then
        compadd -- "${found[@]}"
    else
        _files
    fi
}
# From a file in fpath this runs as the function, at the first key; otherwise it is sourced.
if [[ "$funcstack[1]" == _ledge ]]; then _ledge "$@"; else compdef _ledge ledge; fi
`,
	"fish": `# fish completion for ledge
function __ledge_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (ledge __complete -- $words[2..-1] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c ledge -f -a '(__ledge_complete)'
`,
}

func (a *app) completionCommand() *cli.Command {
	c := &cli.Command{
		Name:  "completion",
		Usage: "write a completion script for bash, zsh or fish",
		Action: func(c *cli.Context) error {
			if err := only(c, 1, "the name of a shell"); err != nil {
				return err
			}
			shells := []string{"bash", "zsh", "fish"}
			script, ok := completionScripts[c.Args().First()]
			if !ok {
				return usagef("completion %s: name a shell: %s", c.Args().First(), strings.Join(shells, ", "))
			}
			return a.out.Show(script)
		},
	}
	return describe(c, "ledge completion bash|zsh|fish", "",
		`source <(ledge completion bash)                                       # this shell only`,
		`ledge completion bash > ~/.local/share/bash-completion/completions/ledge`,
		`ledge completion zsh > "${fpath[1]}/_ledge"`,
		`ledge completion fish > ~/.config/fish/completions/ledge.fish`)
}

// completeCommand answers the scripts.
func (a *app) completeCommand() *cli.Command {
	c := &cli.Command{
		Name:   "__complete",
		Usage:  "list what can follow on a command line",
		Hidden: true,
		Action: func(c *cli.Context) error {
			for _, w := range a.candidates(c.App.Commands, c.Args().Slice()) {
				if _, err := io.WriteString(a.out, w+"\n"); err != nil {
					return err
				}
			}
			return a.out.Flush()
		},
	}
	return describe(c, "ledge __complete -- WORDS... CURRENT", "", "ledge __complete -- run --te")
}

// candidates lists what the last of the words can become.
func (a *app) candidates(commands []*cli.Command, words []string) []string {
	if len(words) == 0 {
		return nil
	}
	current, before := words[len(words)-1], words[:len(words)-1]
	var all []string
	switch cmd := a.commandOf(commands, before); {
	case len(before) == 0:
		all = names(commands)
	case cmd == nil:
		return nil
	default:
		last := before[len(before)-1]
		known := flagNames([]*cli.Command{cmd})
		if name := strings.TrimLeft(last, "-"); name != last && known[name] {
			all = a.values(cmd, name)
		} else {
			all = a.arguments(commands, cmd, current)
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return !strings.HasPrefix(s, current) })
}

// arguments lists what can stand where no flag's value is wanted.
func (a *app) arguments(commands []*cli.Command, cmd *cli.Command, current string) []string {
	if strings.HasPrefix(current, "-") {
		var all []string
		for n := range flagNames([]*cli.Command{cmd}) {
			all = append(all, dashed(n))
		}
		return all
	}
	switch cmd.Name {
	case "info", "graph", "pull", "bench", "rm":
		return a.values(cmd, "model")
	case "completion":
		return []string{"bash", "zsh", "fish"}
	case "help":
		return append(names(commands), "exit-codes")
	case "models":
		return names(cmd.Subcommands)
	}
	return nil
}

// commandOf finds the command that words name.
func (a *app) commandOf(commands []*cli.Command, words []string) *cli.Command {
	if len(words) == 0 {
		return nil
	}
	cmd := find(commands, words[0])
	if cmd != nil && len(words) > 1 {
		if sub := find(cmd.Subcommands, words[1]); sub != nil {
			return sub
		}
	}
	return cmd
}

// values lists the values of a flag; none where a file or a number is wanted.
func (a *app) values(cmd *cli.Command, flag string) []string {
	switch flag {
	case "model", "m":
		all := []string{builtinModel}
		for _, e := range hub.Catalog() {
			all = append(all, e.Name)
		}
		if models, err := hub.New(hub.Config{Getenv: a.getenv}).List(); err == nil {
			for _, m := range models {
				all = append(all, m.Name)
			}
		}
		return all
	case "stage":
		return slices.Clone(engine.Stages)
	case "cache-type":
		return []string{"f16", "f32"}
	case "device":
		var all []string
		for _, d := range backend.Drivers() {
			all = append(all, d.Name)
		}
		return all
	case "output", "o":
		if cmd.Name == "bench" {
			return []string{"table", "json", "csv"}
		}
	}
	return nil
}
