package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/packcache"
	"github.com/ledge-run/ledge/backend/trust"
	"github.com/ledge-run/ledge/runtime/hub"
)

func (a *app) cacheCommand() *cli.Command {
	list := describe(&cli.Command{
		Name:    "list",
		Aliases: []string{"ls"},
		Usage:   "list what is kept: packed weights of models, verdicts on drivers of GPUs",
		Flags:   []cli.Flag{jsonFlag()},
		Action:  a.listCache,
	}, "ledge cache [list] [--json]", "", "ledge cache list --json")
	clearAll := describe(&cli.Command{
		Name:   "clear",
		Usage:  "remove all that is kept",
		Flags:  []cli.Flag{quietFlag()},
		Action: a.clearCache,
	}, "ledge cache clear", "Removes packed weights, verdicts on drivers and what drivers have compiled, and nothing\nelse: the next start of each model packs, tries and compiles again.", "ledge cache clear")
	c := &cli.Command{Name: "cache", Usage: "list and clear what is kept: packed weights, verdicts on drivers", Subcommands: []*cli.Command{list, clearAll}}
	return describe(c, "ledge cache [list] [--json]\nledge cache clear", `
A model's weights are packed for the processor when it first starts and kept in the
user's cache folder, so that the next start reads them as they are. What has not been
used for longest goes when the folder has 16 GB or a tenth of the disk.
LEDGE_PACK_CACHE names another folder; LEDGE_PACK_CACHE=0 or --no-cache keep nothing.
What was found out about the drivers of GPUs, and what they have compiled, is kept
beside it (LEDGE_GPU_CACHE): see ledge devices. Folders and files that others may
write to are not used.`,
		`ledge cache`,
		`ledge cache clear`)
}

// errNoCache says that nothing is kept.
func errNoCache() error {
	return usagef("nothing is kept: the caches are off (LEDGE_PACK_CACHE, LEDGE_GPU_CACHE), or there is no home folder for them")
}

// gpuCache is what ledge cache list tells of GPUs.
type gpuCache struct {
	Dir      string            `json:"folder"`
	Verdicts []backend.Verdict `json:"verdicts"`
	Size     int64             `json:"size_bytes"`
}

func (a *app) listCache(c *cli.Context) error {
	if err := only(c, 0, ""); err != nil {
		return err
	}
	packed, gpu := packcache.Default(a.getenv), trust.DefaultCache(a.getenv)
	if packed == nil && gpu == nil {
		return errNoCache()
	}
	list := struct {
		Dir     string           `json:"folder,omitempty"`
		Entries []packcache.Info `json:"entries"`
		GPU     *gpuCache        `json:"gpu,omitempty"`
	}{Entries: []packcache.Info{}}
	if packed != nil {
		entries, err := packed.List()
		if err != nil {
			return fmt.Errorf("the cache of packed weights: %w", err)
		}
		list.Dir, list.Entries = packed.Dir(), append(list.Entries, entries...)
	}
	if gpu != nil {
		list.GPU = &gpuCache{Dir: gpu.Dir(), Verdicts: []backend.Verdict{}}
		all, size, err := gpu.List()
		if err != nil {
			return fmt.Errorf("the cache of GPUs: %w", err)
		}
		list.GPU.Verdicts, list.GPU.Size = append(list.GPU.Verdicts, all...), size
	}
	if c.Bool("json") {
		return a.out.JSON(list, true)
	}
	for _, e := range list.Entries {
		fmt.Fprintf(a.out, "%-44s %10s  %-12s used %s\n", oneLine(e.Label), hub.FormatBytes(e.Size), oneLine(e.Layout), e.Used.Format(time.DateTime))
	}
	if packed != nil && len(list.Entries) == 0 {
		a.note("no packed weights are kept in %s", packed.Dir())
	}
	if gpu != nil {
		for _, v := range list.GPU.Verdicts {
			fmt.Fprintf(a.out, "%-44s %10s  tried %s\n", "driver "+oneLine(v.Driver), verdictWord(&v), v.When.Format(time.DateTime))
		}
		if list.GPU.Size > 0 {
			a.note("%s of drivers' verdicts and programs are kept in %s", hub.FormatBytes(list.GPU.Size), gpu.Dir())
		}
	}
	a.noteDistrust(packed, gpu)
	return a.out.Flush()
}

func verdictWord(v *backend.Verdict) string {
	switch {
	case v.Passed():
		return "passed"
	case slices.ContainsFunc(v.Devices, func(p backend.Proof) bool { return p.Untested }):
		return "not tested"
	}
	return "refused"
}

// noteDistrust says once which folder is not used because others may write to it.
func (a *app) noteDistrust(packed *packcache.Cache, gpu *trust.Cache) {
	for _, err := range []error{packed.Distrusted(), gpu.Distrusted()} {
		if err != nil {
			a.note("note: what is kept in a folder is not used: %v", err)
		}
	}
}

func (a *app) clearCache(c *cli.Context) error {
	if err := only(c, 0, ""); err != nil {
		return err
	}
	packed, gpu := packcache.Default(a.getenv), trust.DefaultCache(a.getenv)
	if packed == nil && gpu == nil {
		return errNoCache()
	}
	var freed int64
	var dirs []string
	var errs []error
	if packed != nil {
		n, err := packed.Clear()
		freed, dirs, errs = freed+n, append(dirs, packed.Dir()), append(errs, err)
	}
	if gpu != nil {
		n, err := gpu.Clear()
		freed, dirs, errs = freed+n, append(dirs, gpu.Dir()), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("the cache: %w", err)
	}
	a.note("removed %s from %s", hub.FormatBytes(freed), strings.Join(dirs, " and "))
	return nil
}
