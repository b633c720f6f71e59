//go:build cgo && linux

package main

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ledge-run/ledge"
	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/runtime/power"
)

// device says of itself that it is another one; the processor computes.
type device struct {
	backend.Device
	info backend.Info
}

func (d device) Info() backend.Info { return d.info }

func (d device) Target() pass.Target {
	t := d.Device.Target()
	t.Name = d.info.Name
	return t
}

// Devices that are taken by name only.
var devices = []backend.Info{
	{Name: "testcard", Kind: backend.GPU},
	{Name: "testonchip", Kind: backend.GPU, Memory: backend.Memory{Unified: true}},
}

func init() {
	for _, info := range devices {
		info.Backend, info.Numerics = info.Name, backend.Numerics{Device: info.Name, Level: "any", Version: "1"}
		backend.Register(backend.Driver{
			Name:  info.Name,
			Probe: func(context.Context) ([]backend.Info, error) { return []backend.Info{info}, nil },
			Open: func(context.Context, string, backend.Options) (backend.Device, error) {
				d, err := cpu.Open(backend.Options{Threads: 1})
				return device{d, info}, err
			},
		})
	}
}

// meters are a processor's counter and a card's: each reading is 10 J more.
type meters struct{ micro int64 }

func (c *meters) Name() string           { return "Card 9000" }
func (c *meters) Power() (int64, error)  { return 1e6, nil }
func (c *meters) Energy() (int64, error) { c.micro += 10e6; return c.micro, nil }
func (c *meters) State() power.CardState { return power.CardState{} }

func (c *meters) Open(name string) (fs.File, error) {
	const dir = "sys/class/powercap/intel-rapl:0/"
	micro, _ := c.Energy()
	return fstest.MapFS{dir + "name": {Data: []byte("package-0\n")}, dir + "energy_uj": {Data: fmt.Append(nil, micro)}}.Open(name)
}

// TestEnergy: a model is charged with the energy of what computes it, one on a card with
// that of the card; without a sensor for it there is no figure.
func TestEnergy(t *testing.T) {
	card := func() ([]power.CardReader, error) { return []power.CardReader{&meters{}}, nil }
	path, before := tiny(t), openMeter
	defer func() { openMeter = before }()
	for _, c := range []struct {
		device string
		files  fs.FS
		cards  power.Cards
		covers string
		note   string // or the error
	}{
		{"cpu", &meters{}, card, power.Package, "RAPL package-0: the processor's package, counter"},
		{"testonchip", &meters{}, card, power.Package, "RAPL package-0: the processor's package, counter"},
		{"testcard", &meters{}, card, power.Card, "Card 9000: the graphics card alone, counter"},
		{"testcard", &meters{}, nil, "", "RAPL package-0: it does not cover the device that computed; "},
		{"cpu", fstest.MapFS{}, nil, "", "RAPL: no package domain"},
	} {
		m, err := ledge.Open(context.Background(), path, ledge.WithDevice(c.device))
		if err != nil {
			t.Fatal(err)
		}
		openMeter = func() *power.Meter { return power.OpenWith(c.files, c.cards) }
		of := newModel(m)
		e, err := of.spent()
		said := e.String()
		if err != nil {
			said = err.Error()
		}
		if e.Covers != c.covers || (e.Joules > 0) != (c.covers != "") || !strings.Contains(said, c.note) || (err == nil) != (c.covers != "") {
			t.Errorf("%s: %+v, %v; want %s", c.device, e, err, c.note)
		}
		of.energy.Stop()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}
