package cli

import (
	"context"
	"flag"
	"slices"
	"time"
)

// Context is a command that was called, with its flags and arguments.
type Context struct {
	context.Context
	App     *App
	Command *Command

	set    *flag.FlagSet
	values map[string]*given // by each of a flag's names
}

// value is that of a flag; the zero value if the command has none of that name and type.
func value[T any](c *Context, name string) (v T) {
	if g := c.values[name]; g != nil {
		if p, ok := g.value.(*T); ok {
			return *p
		}
	}
	return v
}

// Bool is the value of a flag.
func (c *Context) Bool(name string) bool { return value[bool](c, name) }

// Int is the value of a flag.
func (c *Context) Int(name string) int { return value[int](c, name) }

// Int64 is the value of a flag.
func (c *Context) Int64(name string) int64 { return value[int64](c, name) }

// Uint64 is the value of a flag.
func (c *Context) Uint64(name string) uint64 { return value[uint64](c, name) }

// Float64 is the value of a flag.
func (c *Context) Float64(name string) float64 { return value[float64](c, name) }

// Duration is the value of a flag.
func (c *Context) Duration(name string) time.Duration { return value[time.Duration](c, name) }

// String is the value of a flag.
func (c *Context) String(name string) string { return value[string](c, name) }

// StringSlice are the values of a flag that may be given several times.
func (c *Context) StringSlice(name string) []string { return value[[]string](c, name) }

// IsSet reports whether a flag was given, under any of its names, or is set by the
// environment.
func (c *Context) IsSet(name string) bool {
	g := c.values[name]
	if g == nil {
		return false
	}
	is := g.set
	c.set.Visit(func(f *flag.Flag) { is = is || slices.Contains(g.names, f.Name) })
	return is
}

// Args are the words that are no flags.
func (c *Context) Args() Args { return c.set.Args() }

// NArg is how many there are.
func (c *Context) NArg() int { return c.set.NArg() }

// Args are words of a command line.
type Args []string

// Get is the word at a place; "" if there is none.
func (a Args) Get(i int) string {
	if i >= 0 && i < len(a) {
		return a[i]
	}
	return ""
}

// First is the first word.
func (a Args) First() string { return a.Get(0) }

// Slice has all of them.
func (a Args) Slice() []string { return slices.Clone([]string(a)) }
