package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange sorts a command line so that flags may stand before and after
// arguments: the flag library stops at the first argument. The result is the
// command (with its subcommand), the flags, "--" and the arguments.
//
// A word is an argument, although it begins with a dash, if it is "-", if it
// follows "--", or if it is no known flag and has white space in it or a digit
// after the dash: "-5 degrees".
func arrange(commands []*cli.Command, args []string) ([]string, error) {
	name := args[0]
	if strings.HasPrefix(name, "-") {
		return nil, usagef("%s: flags come after the command: ledge COMMAND %s; see ledge help", name, name)
	}
	cmd := find(commands, name)
	if cmd == nil {
		return nil, usagef("no command %q%s; see ledge help", name, suggest(name, names(commands)))
	}
	path := []string{name}
	flags, words, err := sortWords(cmd, args[1:])
	if err != nil {
		return nil, err
	}
	if len(cmd.Subcommands) > 0 {
		parent := cmd
		sub := parent.Subcommands[0].Name
		if len(words) > 0 {
			sub, words = words[0], words[1:]
		}
		if cmd = find(parent.Subcommands, sub); cmd == nil {
			return nil, usagef("no command %q%s; see ledge %s --help", name+" "+sub, suggest(sub, names(parent.Subcommands)), name)
		}
		if !helpAsked(flags) || len(args) > 2 {
			path = append(path, sub)
		}
	}
	known := flagNames([]*cli.Command{cmd})
	for _, f := range flags {
		if _, ok := known[f.name]; !ok {
			return nil, unknownFlag(strings.Join(path, " "), f.words[0], known)
		}
	}
	out := path
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
func sortWords(cmd *cli.Command, args []string) (flags []flagWords, words []string, err error) {
	known := flagNames(append([]*cli.Command{cmd}, cmd.Subcommands...))
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
			return nil, nil, unknownFlag(cmd.Name, w, known)
		case !takesValue || joined:
			flags = append(flags, flagWords{name, args[i : i+1]})
		case i+1 == len(args):
			return nil, nil, usagef("flag %s needs a value; see ledge %s --help", w, cmd.Name)
		default:
			flags = append(flags, flagWords{name, args[i : i+2]})
			i++
		}
	}
	return flags, words, nil
}

// readsLikeText reports whether a word that begins with a dash is meant as text.
func readsLikeText(w string) bool {
	return strings.ContainsAny(w, " \t\r\n") || w[1] >= '0' && w[1] <= '9' ||
		w[1] == '.' && len(w) > 2 && w[2] >= '0' && w[2] <= '9'
}

// flagNames maps the names of all flags to whether they take a value.
func flagNames(commands []*cli.Command) map[string]bool {
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

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

func names(commands []*cli.Command) []string {
	var out []string
	for _, c := range commands {
		if !c.Hidden {
			out = append(out, c.Names()...)
		}
	}
	return out
}

func unknownFlag(command, word string, known map[string]bool) error {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	var all []string
	for n := range known {
		all = append(all, dashed(n))
	}
	slices.Sort(all)
	return usagef("unknown flag %s for %s%s; see ledge %s --help (text that begins with a dash goes after --)",
		word, command, suggest(dashed(name), all), command)
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// suggest gives ", did you mean X?" if one of the names is near to the word.
func suggest(word string, names []string) string {
	best, least := "", 1+len(word)/3
	for _, n := range names {
		d := distance(strings.ToLower(word), n)
		if d < least || d == least && best == "" {
			best, least = n, d
		}
	}
	if best == "" {
		for _, n := range names {
			if len(strings.Trim(word, "-")) > 1 && strings.HasPrefix(n, word) {
				best = n
				break
			}
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// distance is the number of letters to insert, remove, replace or swap with
// their neighbour that turn a into b (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
