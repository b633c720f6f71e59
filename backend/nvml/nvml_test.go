package nvml

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/backend/nvml/nvmltest"
)

func open(t *testing.T, faults ...string) *Library {
	t.Helper()
	l, err := Open(nvmltest.Library(t, faults...))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// readings are all of a card's, by name.
func readings(c *Card) map[string]func() (uint64, error) {
	return map[string]func() (uint64, error){
		"power": c.Power, "limit": c.PowerLimit, "energy": c.Energy, "temperature": c.Temperature,
		"clock": func() (uint64, error) { return c.Clock(Graphics) }, "memory": func() (uint64, error) { return c.Clock(Memory) },
		"most": func() (uint64, error) { return c.MaxClock(Graphics) }, "heat": func() (uint64, error) { return c.Held(ByHeat) },
		"cap":     func() (uint64, error) { return c.Held(ByPower) },
		"reasons": func() (uint64, error) { r, err := c.Reasons(); return uint64(r), err },
	}
}

func TestCards(t *testing.T) {
	cards, errs := open(t).Cards()
	if len(cards) != 2 || errs != nil {
		t.Fatal(cards, errs)
	}
	if c := cards[1]; c.Name != "NVIDIA Fake 200" || c.UUID != "GPU-1" || c.Index != 1 {
		t.Errorf("%+v", c)
	}
	want := map[string]uint64{"power": 101000, "limit": 300001, "energy": 50000, "temperature": 62, "clock": 1501, "memory": 7000, "most": 2101,
		"heat": 7000000, "cap": 3000000, "reasons": 1}
	for name, read := range readings(cards[1]) {
		if v, err := read(); v != want[name] || err != nil {
			t.Errorf("%s is %d, %v; want %d", name, v, err, want[name])
		}
	}
	r, err := cards[0].Reasons()
	if err != nil || r.String() != "its power limit, heat (hardware)" || r.Set() || !Reasons(3).Set() {
		t.Error(r, err)
	}
	if r, _ := cards[1].Reasons(); r.String() != "" { // it has nothing to do
		t.Error(r)
	}
	if e, _ := cards[1].Energy(); e != 100000 {
		t.Error(e)
	}
}

// TestFaults: each fault is an error of what it concerns, in one line, and never a
// figure.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		faults []string
		say    map[string]string // by reading; "all" for every one
	}{
		"errors":        {[]string{"STATUS=999"}, nil},
		"not supported": {[]string{"NO_POWER", "NO_ENERGY"}, map[string]string{"power": "nvmlDeviceGetPowerUsage: this driver does not have it", "energy": "this driver does not have it"}},
		"garbage": {[]string{"GARBAGE"}, map[string]string{"power": "gives 4294967295 mW, which is not to be believed", "limit": "believed", "energy": "believed",
			"temperature": "4294967295 °C", "clock": "4294967295 MHz", "memory": "MHz", "most": "MHz", "heat": "not to be believed", "cap": "not to be believed"}},
		"nothing written": {[]string{"SILENT"}, nil},
	} {
		l := open(t, c.faults...)
		cards, errs := l.Cards()
		switch name {
		case "errors":
			if len(cards) != 0 || len(errs) != 1 || !strings.Contains(errs[0].Error(), "nvmlDeviceGetCount_v2: unknown error of the driver") {
				t.Errorf("%s: %v, %v", name, cards, errs)
			}
			continue
		case "nothing written":
			if len(cards) != 0 {
				t.Errorf("%s: %v", name, cards)
			}
			cards = []*Card{{l: l}} // as if it had one
		}
		said := c.say
		if name == "nothing written" {
			said = map[string]string{"power": "gives 0 mW", "limit": "gives 0 mW", "temperature": "gives 0 °C", "most": "gives 0 MHz", "heat": "believed", "cap": "believed"}
		}
		for reading, read := range readings(cards[0]) {
			_, err := read()
			if want := said[reading]; (want == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%s: %s: %v; want %q", name, reading, err, want)
			}
		}
		if name == "garbage" && cards[0].Name != "NVIDIA GPU 0" {
			t.Errorf("%s: the name is %q", name, cards[0].Name)
		}
	}
}

func TestLostCard(t *testing.T) {
	cards, errs := open(t, "GPUS=3", "LOST=1").Cards()
	if len(cards) != 2 || cards[1].Index != 2 || len(errs) != 1 || !strings.Contains(errs[0].Error(), "GPU 1: nvmlDeviceGetHandleByIndex_v2: the GPU has fallen off the bus") {
		t.Error(cards, errs)
	}
	if cards, errs := open(t, "GPUS=70000").Cards(); len(cards) != 0 || len(errs) != 1 || !strings.Contains(errs[0].Error(), "70000 GPUs") {
		t.Error(cards, errs)
	}
	if cards, errs := open(t, "GPUS=0").Cards(); len(cards) != 0 || len(errs) != 0 {
		t.Error(cards, errs)
	}
}

func TestOpen(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.so.1")
	text := filepath.Join(t.TempDir(), "text.so.1")
	if err := os.WriteFile(text, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, say string }{
		"none":           {none, "no NVIDIA driver: " + none + " was not found"},
		"text":           {text, text + " cannot be loaded: "},
		"another":        {"libc.so.6", "libc.so.6 has no function nvmlInit_v2"},
		"old":            {nvmltest.Library(t, "OLD"), "has no function nvmlDeviceGetCount_v2"},
		"not loaded":     {nvmltest.Library(t, "INIT=9"), "libnvidia-ml.so.1 does not begin: the driver is not loaded"},
		"other versions": {nvmltest.Library(t, "INIT=18"), "of different versions"},
		"unknown":        {nvmltest.Library(t, "INIT=-7"), "error -7"},
	} {
		l, err := Open(c.path)
		if l != nil || err == nil || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %q", name, err, c.say)
		}
		if errors.Is(err, ErrNone) != (name == "none") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHang: a driver that hangs costs its time limit once.
func TestHang(t *testing.T) {
	const limit = 100 * time.Millisecond
	if _, err := openWithin(limit, limit, nvmltest.Library(t, "HANG_INIT")); err == nil || !strings.Contains(err.Error(), "did not answer within 100ms") {
		t.Error(err)
	}
	l, err := openWithin(10*time.Second, limit, nvmltest.Library(t, "HANG"))
	if err != nil {
		t.Fatal(err)
	}
	l.limit = 10 * time.Second // the machine may be busy
	cards, errs := l.Cards()
	if len(cards) != 2 {
		t.Fatal(errs)
	}
	l.limit = limit
	for range 2 {
		if _, err := cards[0].Power(); err == nil || !strings.Contains(err.Error(), "did not answer") {
			t.Error(err)
		}
	}
	l.limit = time.Hour // it is not asked again
	if _, err := cards[1].Temperature(); err == nil || !strings.Contains(err.Error(), "did not answer") {
		t.Error(err)
	}
}

// TestUnsupported: a build that loads no libraries says so.
func TestUnsupported(t *testing.T) {
	if dl.Supported {
		t.Skip("this build loads libraries")
	}
	if _, err := Default(); err == nil || !strings.Contains(err.Error(), "cannot load drivers' libraries") {
		t.Error(err)
	}
}

// TestLive: this machine's GPUs, if it has any.
func TestLive(t *testing.T) {
	l, err := Default()
	if err != nil {
		t.Skip("no NVIDIA GPU here: ", err)
	}
	cards, errs := l.Cards()
	if len(errs) > 0 {
		t.Error(errs)
	}
	if len(cards) == 0 {
		t.Skip("the driver has no GPU")
	}
	for _, c := range cards {
		t.Logf("%+v", *c)
		for name, read := range readings(c) {
			v, err := read()
			t.Logf("%s: %d, %v", name, v, err)
		}
		if _, err := c.Temperature(); err != nil {
			t.Error(err)
		}
	}
}
