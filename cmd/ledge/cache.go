package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/backend/packcache"
	"github.com/ledge-run/ledge/runtime/hub"
)

func (a *app) cacheCommand() *cli.Command {
	list := describe(&cli.Command{
		Name:    "list",
		Aliases: []string{"ls"},
		Usage:   "list the models whose packed weights are kept",
		Flags:   []cli.Flag{jsonFlag()},
		Action:  a.listCache,
	}, "ledge cache [list] [--json]", "", "ledge cache list --json")
	clearAll := describe(&cli.Command{
		Name:   "clear",
		Usage:  "remove all packed weights",
		Flags:  []cli.Flag{quietFlag()},
		Action: a.clearCache,
	}, "ledge cache clear", "Removes packed weights, and nothing else: the next start of each model packs them again.", "ledge cache clear")
	c := &cli.Command{Name: "cache", Usage: "list and clear the packed weights that are kept", Subcommands: []*cli.Command{list, clearAll}}
	return describe(c, "ledge cache [list] [--json]\nledge cache clear", `
A model's weights are packed for the processor when it first starts and kept in the
user's cache folder, so that the next start reads them as they are. What has not been
used for longest goes when the folder has 16 GB or a tenth of the disk.
LEDGE_PACK_CACHE names another folder; LEDGE_PACK_CACHE=0 or --no-cache keep nothing.`,
		`ledge cache`,
		`ledge cache clear`)
}

// packCache is the cache in use, or an error that says that there is none.
func (a *app) packCache() (*packcache.Cache, error) {
	if c := packcache.Default(a.getenv); c != nil {
		return c, nil
	}
	return nil, usagef("the cache of packed weights is off (LEDGE_PACK_CACHE), or there is no home folder for it")
}

func (a *app) listCache(c *cli.Context) error {
	if err := only(c, 0, ""); err != nil {
		return err
	}
	cache, err := a.packCache()
	if err != nil {
		return err
	}
	entries, err := cache.List()
	if err != nil {
		return fmt.Errorf("the cache of packed weights: %w", err)
	}
	if c.Bool("json") {
		return a.out.json(struct {
			Dir     string           `json:"folder"`
			Entries []packcache.Info `json:"entries"`
		}{cache.Dir(), append([]packcache.Info{}, entries...)}, true)
	}
	for _, e := range entries {
		fmt.Fprintf(a.out, "%-44s %10s  %-12s used %s\n", oneLine(e.Label), hub.FormatBytes(e.Size), oneLine(e.Layout), e.Used.Format(time.DateTime))
	}
	if len(entries) == 0 {
		a.note("no packed weights are kept in %s", cache.Dir())
	}
	return a.out.flush()
}

func (a *app) clearCache(c *cli.Context) error {
	if err := only(c, 0, ""); err != nil {
		return err
	}
	cache, err := a.packCache()
	if err != nil {
		return err
	}
	freed, err := cache.Clear()
	if err != nil {
		return fmt.Errorf("the cache of packed weights: %w", err)
	}
	a.note("removed %s from %s", hub.FormatBytes(freed), cache.Dir())
	return nil
}
