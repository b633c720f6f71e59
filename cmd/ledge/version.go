package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/cmd/internal/console"
)

func (a *app) versionCommand() *cli.Command {
	c := &cli.Command{Name: "version", Usage: "show the version", Flags: []cli.Flag{jsonFlag()}, Action: a.version}
	return describe(c, "ledge version [--json]", "", "ledge version --json | jq -r .revision")
}

// versionInfo is the output of ledge version --json.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source
	Time     string `json:"time,omitempty"`     // of the revision
	Modified bool   `json:"modified"`           // the source differed from the revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Numerics string `json:"numerics,omitempty"` // of the processor: same class, same results
}

// buildInfo is what the Go toolchain wrote into the program, and its release.
func buildInfo() versionInfo {
	v := versionInfo{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if b.Main.Version != "" {
		v.Version = b.Main.Version
	}
	if r := console.Release(); r != "" {
		v.Version = r
	}
	for _, s := range b.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (a *app) version(c *cli.Context) error {
	if err := only(c, 0, ""); err != nil {
		return err
	}
	v := buildInfo()
	v.Numerics = processorNumerics(c.Context)
	if c.Bool("json") {
		return a.out.JSON(v, true)
	}
	fmt.Fprintf(a.out, "ledge %s\n", v.Version)
	if v.Revision != "" {
		changed := ""
		if v.Modified {
			changed = ", modified"
		}
		fmt.Fprintf(a.out, "revision %s (%s%s)\n", v.Revision, v.Time, changed)
	}
	fmt.Fprintf(a.out, "%s %s\n", v.Go, v.Platform)
	if v.Numerics != "" {
		fmt.Fprintf(a.out, "processor level %s\n", v.Numerics)
	}
	return a.out.Flush()
}

// processorNumerics is the class of the processor's results; "" if unknown.
func processorNumerics(ctx context.Context) string {
	for _, d := range backend.Drivers() {
		if d.Name != "cpu" {
			continue
		}
		if infos, err := d.Probe(ctx); err == nil && len(infos) > 0 {
			return infos[0].Numerics.String()
		}
	}
	return ""
}
