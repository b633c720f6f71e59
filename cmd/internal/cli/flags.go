package cli

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Flag is a flag of a command.
type Flag interface {
	Names() []string        // the name and its aliases
	TakesValue() bool       // it is followed by a word
	GetUsage() string       // what help says of it
	GetDefaultText() string // its value if it is not given; "" if that is nothing to speak of
	GetCategory() string    // the heading in help
	IsVisible() bool        // help tells of it

	apply(set *flag.FlagSet, getenv func(string) string) (*given, error)
}

// The kinds of flags.
type (
	BoolFlag        = Typed[bool]
	IntFlag         = Typed[int]
	Int64Flag       = Typed[int64]
	Uint64Flag      = Typed[uint64]
	Float64Flag     = Typed[float64]
	DurationFlag    = Typed[time.Duration]
	StringFlag      = Typed[string]
	StringSliceFlag = Typed[[]string] // may be given several times
)

// Typed is a flag with a value of a type.
type Typed[T any] struct {
	Name        string
	Aliases     []string
	Usage       string // the value's name stands between backquotes
	DefaultText string // in place of Value's, in help
	Category    string
	Value       T        // if the flag is not given
	EnvVars     []string // whose value counts then; the first that is there
	Hidden      bool
}

// Names are the name and its aliases.
func (f *Typed[T]) Names() []string { return append([]string{f.Name}, f.Aliases...) }

// TakesValue reports whether a word follows.
func (f *Typed[T]) TakesValue() bool { _, is := any(f.Value).(bool); return !is }

// GetUsage is what help says.
func (f *Typed[T]) GetUsage() string { return f.Usage }

// GetCategory is the heading in help.
func (f *Typed[T]) GetCategory() string { return f.Category }

// IsVisible reports whether help tells of it.
func (f *Typed[T]) IsVisible() bool { return !f.Hidden }

// GetDefaultText shows the value that counts if the flag is not given.
func (f *Typed[T]) GetDefaultText() string {
	if f.DefaultText != "" {
		return f.DefaultText
	}
	switch v := any(f.Value).(type) {
	case string:
		if v == "" {
			return ""
		}
		return fmt.Sprintf("%q", v)
	case []string:
		return strings.Join(v, ", ")
	}
	return fmt.Sprint(f.Value)
}

// given is a flag's value on a command line.
type given struct {
	names []string
	value any  // a pointer
	set   bool // by the environment
}

// list takes one more element each time.
type list struct {
	all *[]string
	own bool // of the command line, not the default
}

func (l *list) String() string { return "" }

func (l *list) Set(s string) error {
	if !l.own {
		*l.all, l.own = nil, true
	}
	*l.all = append(*l.all, s)
	return nil
}

// apply has a set of flags read this one, under all its names.
func (f *Typed[T]) apply(set *flag.FlagSet, getenv func(string) string) (*given, error) {
	v := new(T)
	*v = f.Value
	g := &given{names: f.Names(), value: v}
	var several *list
	for _, name := range g.names {
		switch p := any(v).(type) {
		case *bool:
			set.BoolVar(p, name, *p, "")
		case *int:
			set.IntVar(p, name, *p, "")
		case *int64:
			set.Int64Var(p, name, *p, "")
		case *uint64:
			set.Uint64Var(p, name, *p, "")
		case *float64:
			set.Float64Var(p, name, *p, "")
		case *time.Duration:
			set.DurationVar(p, name, *p, "")
		case *string:
			set.StringVar(p, name, *p, "")
		case *[]string:
			if several == nil {
				*p = slices.Clone(*p)
				several = &list{all: p}
			}
			set.Var(several, name, "")
		default:
			return nil, fmt.Errorf("flag %s: no values of type %T", name, f.Value)
		}
	}
	for _, env := range f.EnvVars {
		text := getenv(env)
		if text == "" {
			continue
		}
		// Set through a set of its own: this one would take it for one of the command line.
		own := flag.NewFlagSet("", flag.ContinueOnError)
		own.Var(set.Lookup(f.Name).Value, f.Name, "")
		if err := own.Set(f.Name, text); err != nil {
			return nil, fmt.Errorf("%s=%s: %w", env, text, err)
		}
		if several != nil {
			several.own = false
		}
		g.set = true
		break
	}
	return g, nil
}

// Category is a heading in help with its flags.
type Category struct {
	Name  string
	Flags []Flag
}

// categories sorts visible flags by their headings, and under each by their names; none
// if no flag has one.
func categories(all []Flag) []Category {
	var out []Category
	for _, f := range all {
		if !f.IsVisible() {
			continue
		}
		i, found := slices.BinarySearchFunc(out, f.GetCategory(), func(c Category, name string) int { return strings.Compare(c.Name, name) })
		if !found {
			out = slices.Insert(out, i, Category{Name: f.GetCategory()})
		}
		out[i].Flags = append(out[i].Flags, f)
	}
	if len(out) == 1 && out[0].Name == "" {
		return nil
	}
	for _, c := range out {
		slices.SortStableFunc(c.Flags, func(a, b Flag) int { return cmp.Compare(a.Names()[0], b.Names()[0]) })
	}
	return out
}

func visible(all []Flag) []Flag {
	return slices.DeleteFunc(slices.Clone(all), func(f Flag) bool { return !f.IsVisible() })
}
