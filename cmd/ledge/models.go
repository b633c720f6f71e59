package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	homemodel "github.com/ledge-run/ledge/runtime/home/model"
	"github.com/ledge-run/ledge/runtime/hub"
)

func (a *app) modelsCommand() *cli.Command {
	list := describe(&cli.Command{
		Name:    "list",
		Aliases: []string{"ls"},
		Usage:   "list the models on this machine",
		Flags: []cli.Flag{
			jsonFlag(),
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "list the short names that can be pulled, too"},
		},
		Action: a.listModels,
	}, "ledge models [list] [FLAGS]", "", "ledge models list", "ledge models list --all --json")
	remove := describe(&cli.Command{
		Name:    "rm",
		Aliases: []string{"remove"},
		Usage:   "remove downloaded models",
		Flags:   []cli.Flag{quietFlag()},
		Action:  a.removeModels,
	}, "ledge models rm NAME...", "Removes models that were downloaded, whole or begun, and nothing else.", "ledge models rm smollm2:135m")
	c := &cli.Command{Name: "models", Usage: "list and remove downloaded models", Subcommands: []*cli.Command{list, remove}}
	return describe(c, "ledge models [list] [FLAGS]\nledge models rm NAME...", "", "ledge models", "ledge models rm smollm2:135m")
}

// localModel is a downloaded model in the output of ledge models --json.
type localModel struct {
	Name    string      `json:"name"`
	Also    []string    `json:"also,omitempty"`
	Path    string      `json:"path,omitempty"`
	Size    int64       `json:"size_bytes"`
	Partial bool        `json:"partial"`
	Source  string      `json:"source,omitempty"`
	Licence hub.Licence `json:"licence,omitzero"`
}

func (a *app) listModels(c *cli.Context) error {
	if err := only(c, 0, ""); err != nil {
		return err
	}
	h := hub.New(hub.Config{Getenv: a.getenv})
	found, err := h.List()
	if err != nil {
		return err
	}
	models := []localModel{}
	for _, m := range found {
		l := localModel{Name: m.Name, Also: m.Also, Size: m.Size(), Partial: m.Partial, Source: m.Source, Licence: m.Licence}
		if !m.Partial {
			l.Path = m.Path()
		}
		models = append(models, l)
	}
	if c.Bool("json") {
		out := struct {
			Models  []localModel `json:"models"`
			Catalog []hub.Entry  `json:"catalogue,omitempty"`
		}{Models: models}
		if c.Bool("all") {
			out.Catalog = hub.Catalog()
		}
		return a.out.JSON(out, true)
	}
	for _, m := range models {
		state := m.Path
		if m.Partial {
			state = "begun, not complete: ledge pull goes on"
		}
		fmt.Fprintf(a.out, "%-24s %10s  %s\n", oneLine(strings.Join(append([]string{m.Name}, m.Also...), ", ")), hub.FormatBytes(m.Size), oneLine(state))
	}
	if len(models) == 0 && !c.Bool("all") {
		a.note("no models yet: ledge pull %s gets one, ledge models list --all shows what there is", defaultModel)
	}
	if c.Bool("all") {
		a.listCatalogue()
	}
	return a.out.Flush()
}

// listCatalogue writes the short names that can be pulled.
func (a *app) listCatalogue() {
	fmt.Fprintf(a.out, "%-24s %10s  %s\n", builtinModel, hub.FormatBytes(homemodel.Size()), "Household commands in Chinese and English to JSON; a part of this program")
	for _, e := range hub.Catalog() {
		for i, v := range e.Variants {
			name := e.Name
			if i > 0 {
				name += "-" + v.Quant
			}
			fmt.Fprintf(a.out, "%-24s %10s  %s %s, %s\n", name, hub.FormatBytes(v.Size), e.Title, strings.ToUpper(v.Quant), e.Licence.Name)
		}
	}
}

func (a *app) removeModels(c *cli.Context) error {
	if c.NArg() == 0 {
		return usagef("no model to remove: name one; ledge models shows them")
	}
	h := hub.New(hub.Config{Getenv: a.getenv})
	for _, name := range c.Args().Slice() {
		m, err := h.Remove(name)
		if err != nil {
			return modelError{err}
		}
		a.note("removed %s, %s", m.Name, hub.FormatBytes(m.Size()))
	}
	return nil
}
