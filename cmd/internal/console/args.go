package console

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/nearest"
)

// Arrange sorts a command line so that flags may stand before and after
// arguments: the flag library stops at the first argument. The result is the
// command (with its subcommand), the flags, "--" and the arguments.
//
// A word is an argument, although it begins with a dash, if it is "-", if it
// follows "--", or if it is no known flag and has white space in it or a digit
// after the dash: "-5 degrees".
//
// Where help is asked for, nothing else is left: the library would look arguments up as
// topics, and refuse values of other flags.
func Arrange(program string, commands []*cli.Command, args []string) ([]string, error) {
	name := args[0]
	if strings.HasPrefix(name, "-") {
		return nil, Usagef("%s: flags come after the command: %s COMMAND %s; see %s help", name, program, name, program)
	}
	cmd := Find(commands, name)
	if cmd == nil {
		return nil, Usagef("no command %q%s; see %s help", name, Suggest(name, Names(commands)), program)
	}
	path := []string{name}
	flags, words, err := sortWords(program, cmd, args[1:])
	if err != nil {
		return nil, err
	}
	if len(cmd.Subcommands) > 0 {
		parent := cmd
		sub := parent.Subcommands[0].Name
		if len(words) > 0 {
			sub, words = words[0], words[1:]
		}
		if cmd = Find(parent.Subcommands, sub); cmd == nil {
			return nil, Usagef("no command %q%s; see %s %s --help", name+" "+sub, Suggest(sub, Names(parent.Subcommands)), program, name)
		}
		if !helpAsked(flags) || len(args) > 2 {
			path = append(path, sub)
		}
	}
	known := FlagNames([]*cli.Command{cmd})
	for _, f := range flags {
		if _, ok := known[f.name]; !ok {
			return nil, unknownFlag(program, strings.Join(path, " "), f.words[0], known)
		}
	}
	out := path
	switch {
	case helpAsked(flags) && name == "help" && len(words) > 0: // help about a command
		flags = nil
	case helpAsked(flags):
		return append(out, "--help"), nil
	}
	for _, f := range flags {
		out = append(out, f.words...)
	}
	if len(words) > 0 {
		out = append(append(out, "--"), words...)
	}
	return out, nil
}

// flagWords are the one or two words of a flag.
type flagWords struct {
	name  string
	words []string
}

func helpAsked(flags []flagWords) bool {
	return slices.ContainsFunc(flags, func(f flagWords) bool { return f.name == "help" || f.name == "h" })
}

// sortWords tells flags from arguments, by the flags of the command and of its
// subcommands.
func sortWords(program string, cmd *cli.Command, args []string) (flags []flagWords, words []string, err error) {
	known := FlagNames(append([]*cli.Command{cmd}, cmd.Subcommands...))
	for i := 0; i < len(args); i++ {
		w := args[i]
		switch {
		case w == "--":
			return flags, append(words, args[i+1:]...), nil
		case w == "-" || !strings.HasPrefix(w, "-"):
			words = append(words, w)
			continue
		}
		name, _, joined := strings.Cut(strings.TrimPrefix(w[1:], "-"), "=")
		takesValue, ok := known[name]
		switch {
		case !ok && readsLikeText(w):
			words = append(words, w)
		case !ok:
			path, known := subcommand(cmd, words, known)
			return nil, nil, unknownFlag(program, path, w, known)
		case !takesValue || joined:
			flags = append(flags, flagWords{name, args[i : i+1]})
		case i+1 == len(args):
			path, _ := subcommand(cmd, words, known)
			return nil, nil, Usagef("flag %s needs a value; see %s %s --help", w, program, path)
		default:
			flags = append(flags, flagWords{name, args[i : i+2]})
			i++
		}
	}
	return flags, words, nil
}

// subcommand is the path of the command that the first word means, and its flags.
func subcommand(cmd *cli.Command, words []string, known map[string]bool) (path string, flags map[string]bool) {
	if len(words) > 0 {
		if sub := Find(cmd.Subcommands, words[0]); sub != nil {
			return cmd.Name + " " + sub.Name, FlagNames([]*cli.Command{sub})
		}
	}
	return cmd.Name, known
}

// readsLikeText reports whether a word that begins with a dash is meant as text.
func readsLikeText(w string) bool {
	return strings.ContainsAny(w, " \t\r\n") || w[1] >= '0' && w[1] <= '9' ||
		w[1] == '.' && len(w) > 2 && w[2] >= '0' && w[2] <= '9'
}

// FlagNames maps the names of all flags to whether they take a value.
func FlagNames(commands []*cli.Command) map[string]bool {
	known := map[string]bool{"help": false, "h": false}
	for _, c := range commands {
		for _, f := range c.Flags {
			d, ok := f.(cli.DocGenerationFlag)
			for _, n := range f.Names() {
				known[n] = ok && d.TakesValue()
			}
		}
	}
	return known
}

// Find gives the command of a name or alias; nil if there is none.
func Find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// Names lists the names and aliases of the commands that help shows.
func Names(commands []*cli.Command) []string {
	var out []string
	for _, c := range commands {
		if !c.Hidden {
			out = append(out, c.Names()...)
		}
	}
	return out
}

func unknownFlag(program, command, word string, known map[string]bool) error {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	var all []string
	for n := range known {
		all = append(all, Dashed(n))
	}
	slices.Sort(all)
	return Usagef("unknown flag %s for %s%s; see %s %s --help (text that begins with a dash goes after --)",
		word, command, Suggest(Dashed(name), all), program, command)
}

// Dashed is a flag as it is written: -n, --name.
func Dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// Suggest gives ", did you mean X?" if one of the names is near to the word.
func Suggest(word string, names []string) string { return nearest.Hint(word, names) }
