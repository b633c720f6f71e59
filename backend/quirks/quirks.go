// Package quirks knows faults of GPU drivers that others have reported in public:
// which devices and drivers have them, what to avoid there, and where to read
// about it. They are in quirks.json, which a test checks. The list only spares
// users what is known already; that a device computes rightly is for the self-test
// to find out.
package quirks

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// What an entry says is to be avoided: features, as in the words of
// backend.Options.Level, or all.
const (
	Subgroup   = "-subgroup" // shuffles and sums among the invocations of a subgroup
	Half       = "-half"     // arithmetic in float16
	IntDot     = "-intdot"   // dot products of int8
	CoopMatrix = "-coop"     // cooperative matrices
	Refuse     = "refuse"    // the device must not be used, nor tried
	Note       = "note"      // nothing: the self-test has the last word, the user is told
)

// Words lists all of them.
var Words = []string{Subgroup, Half, IntDot, CoopMatrix, Refuse, Note}

// Quirk is a known fault. A device has it if all that the entry names fits.
type Quirk struct {
	API        string   `json:"api"`                   // vulkan, opencl or gles
	Vendor     string   `json:"vendor,omitempty"`      // PCI's or Khronos's number, "0x5143"; "" for any
	VendorName string   `json:"vendor_name,omitempty"` // pattern; of APIs that tell no number
	Device     string   `json:"device,omitempty"`      // pattern of the device's name
	Driver     string   `json:"driver,omitempty"`      // pattern of the driver's version, as the driver writes it
	Version    string   `json:"version,omitempty"`     // pattern whose group is the number in it; "" is the first with a dot, or the first
	From       string   `json:"from,omitempty"`        // first version that has it
	Before     string   `json:"before,omitempty"`      // first version that does not have it any more
	Avoid      []string `json:"avoid"`                 // Words
	Why        string   `json:"why"`                   // in one line
	Report     string   `json:"report"`                // address of the public report
}

// String is how ledge devices shows what is avoided.
func (q Quirk) String() string {
	avoid := strings.Join(q.Avoid, " ")
	switch {
	case q.Has(Note):
		avoid = "nothing, but"
	case q.Has(Refuse):
		avoid = "the device:"
	default:
		avoid += ":"
	}
	return fmt.Sprintf("%s %s (%s)", avoid, q.Why, q.Report)
}

// Has tells whether a word is among what is to be avoided.
func (q Quirk) Has(word string) bool { return slices.Contains(q.Avoid, word) }

//go:embed quirks.json
var file []byte

var load = sync.OnceValues(func() ([]entry, error) { return parse(file) })

// entry is a quirk with its patterns.
type entry struct {
	Quirk
	vendor                           uint64
	vendorName, device, driver, find *regexp.Regexp
	from, before                     []int
}

// firstVersion finds a version in what a driver writes: "Mesa 25.2.8-1", "512.842.19".
var firstVersion = regexp.MustCompile(`([0-9]+(?:\.[0-9]+)+)`)

var firstNumber = regexp.MustCompile(`([0-9]+)`)

// parse reads the list. Patterns do not care for upper and lower case.
func parse(data []byte) ([]entry, error) {
	var all []Quirk
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("quirks: %w", err)
	}
	out := make([]entry, len(all))
	for i, q := range all {
		e := &out[i]
		e.Quirk = q
		var err error
		for _, p := range []struct {
			text string
			to   **regexp.Regexp
		}{{q.VendorName, &e.vendorName}, {q.Device, &e.device}, {q.Driver, &e.driver}, {q.Version, &e.find}} {
			if p.text == "" {
				continue
			}
			if *p.to, err = regexp.Compile("(?i)" + p.text); err != nil {
				return nil, fmt.Errorf("quirks: entry %d: %w", i, err)
			}
		}
		if q.Vendor != "" {
			if e.vendor, err = strconv.ParseUint(q.Vendor, 0, 32); err != nil {
				return nil, fmt.Errorf("quirks: entry %d: vendor: %w", i, err)
			}
		}
		if e.from, err = parseVersion(q.From); err == nil {
			e.before, err = parseVersion(q.Before)
		}
		if err != nil {
			return nil, fmt.Errorf("quirks: entry %d: %w", i, err)
		}
	}
	return out, nil
}

// parseVersion reads numbers divided by dots; "" is nil.
func parseVersion(s string) ([]int, error) {
	if s == "" {
		return nil, nil
	}
	var out []int
	for _, part := range strings.Split(strings.TrimRight(s, "."), ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("version %q: it must be numbers divided by dots", s)
		}
		out = append(out, n)
	}
	return out, nil
}

// For lists the known faults of a device. The vendor's number is 0 where the API
// tells none; the driver's version is what the driver writes, with its name if that
// is told apart: "Mesa 25.2.8", "512.842.19", "OpenCL 3.0 QUALCOMM build: ...". A
// version that cannot be read is in no range.
func For(api string, vendorID uint32, vendorName, device, driverVersion string) []Quirk {
	all, err := load()
	if err != nil {
		return nil // a test reads the list, too
	}
	var out []Quirk
	for i := range all {
		if all[i].fits(api, vendorID, vendorName, device, driverVersion) {
			out = append(out, all[i].Quirk)
		}
	}
	return out
}

func (e *entry) fits(api string, vendorID uint32, vendorName, device, driver string) bool {
	vendor := e.vendor == 0 && e.vendorName == nil ||
		e.vendor != 0 && e.vendor == uint64(vendorID) ||
		e.vendorName != nil && e.vendorName.MatchString(vendorName)
	return e.API == api && vendor && matches(e.device, device) && matches(e.driver, driver) && e.inRange(driver)
}

func matches(p *regexp.Regexp, s string) bool { return p == nil || p.MatchString(s) }

// inRange compares the version in what the driver writes.
func (e *entry) inRange(driver string) bool {
	if e.from == nil && e.before == nil {
		return true
	}
	find := e.find
	if find == nil {
		find = firstVersion
		if !find.MatchString(driver) {
			find = firstNumber
		}
	}
	m := find.FindStringSubmatch(driver)
	if len(m) < 2 {
		return false
	}
	v, err := parseVersion(m[1])
	if err != nil {
		return false
	}
	return (e.from == nil || slices.Compare(v, e.from) >= 0) && (e.before == nil || slices.Compare(v, e.before) < 0)
}
