package quirks

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// reports are the addresses that public reports have.
var reports = map[string]*regexp.Regexp{
	"github.com":              regexp.MustCompile(`^/[\w.-]+/[\w.-]+/(issues|pull|discussions)/[0-9]+$`),
	"gitlab.freedesktop.org":  regexp.MustCompile(`^/[\w.-]+/[\w.-]+/-/(issues|merge_requests)/[0-9]+$`),
	"issuetracker.google.com": regexp.MustCompile(`^/issues/[0-9]+$`),
}

// TestList: every entry of the list is whole and makes sense.
func TestList(t *testing.T) {
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	var all []Quirk
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	entries, err := parse(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) < 10 {
		t.Errorf("%d entries", len(entries))
	}
	seen := map[string]int{}
	for i, e := range entries {
		bad := func(format string, args ...any) {
			t.Helper()
			t.Errorf("entry %d (%s): "+format, append([]any{i, e.Report}, args...)...)
		}
		if !slices.Contains([]string{"vulkan", "opencl", "gles"}, e.API) {
			bad("api %q", e.API)
		}
		if e.Vendor == "" && e.VendorName == "" {
			bad("no vendor: an entry for all would be no quirk")
		}
		if e.Vendor != "" && (!strings.HasPrefix(e.Vendor, "0x") || e.vendor == 0) {
			bad("vendor %q", e.Vendor)
		}
		if e.Device == "" && e.Driver == "" && e.VendorName == "" {
			bad("all of a vendor's devices")
		}
		if e.from != nil && e.before != nil && slices.Compare(e.from, e.before) >= 0 {
			bad("range from %s before %s is empty", e.From, e.Before)
		}
		if e.find != nil && (e.find.NumSubexp() != 1 || e.From == "" && e.Before == "") {
			bad("version %q needs one group, and a range", e.Version)
		}
		if len(e.Avoid) == 0 {
			bad("nothing to avoid")
		}
		for _, w := range e.Avoid {
			if !slices.Contains(Words, w) {
				bad("avoid %q; there are %q", w, Words)
			}
		}
		if len(e.Avoid) > 1 && (e.Has(Refuse) || e.Has(Note)) {
			bad("avoid %q contradicts itself", e.Avoid)
		}
		if n := len(e.Why); n < 20 || n > 200 || strings.ContainsAny(e.Why, "\n\t") || strings.HasSuffix(e.Why, ".") {
			bad("why must be one line of 20 to 200 characters without a full stop: %q", e.Why)
		}
		u, err := url.Parse(e.Report)
		if err != nil || u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || reports[u.Host] == nil || !reports[u.Host].MatchString(u.Path) {
			bad("report is no address of a public report: %v", err)
		}
		key := strings.Join([]string{e.API, e.Vendor, e.VendorName, e.Device, e.Driver, e.From, e.Before, strings.Join(e.Avoid, " "), e.Report}, "\x00")
		if other, ok := seen[key]; ok {
			bad("the same as entry %d", other)
		}
		seen[key] = i
	}
}

// TestFor: devices as drivers describe them.
func TestFor(t *testing.T) {
	for _, c := range []struct {
		api            string
		vendor         uint32
		name           string
		device, driver string
		want           string // what is avoided, in order
	}{
		{"vulkan", 0x5143, "", "Adreno (TM) 640", "512.502.0", "-subgroup"},
		{"vulkan", 0x5143, "", "Adreno (TM) 640", "Qualcomm Technologies Inc. Adreno Vulkan Driver 512.502.0", "-subgroup"},
		{"vulkan", 0x5143, "", "Adreno (TM) 640", "512.800.64", ""},
		{"vulkan", 0x5143, "", "Turnip Adreno (TM) 640", "Mesa 26.1.2", "-subgroup"},
		{"vulkan", 0x5143, "", "Turnip Adreno (TM) 640", "Mesa 26.2.0", ""},
		{"vulkan", 0x5143, "", "Adreno (TM) 840", "512.842.19", "-subgroup -coop"},
		{"vulkan", 0x5143, "", "Adreno (TM) 740", "", "-intdot"},
		{"vulkan", 0x1010, "", "PowerVR C-Series CXTP-48-1536 MC1", "1.2", "refuse"},
		{"vulkan", 0x1010, "", "PowerVR D-Series DXT-48-1536 MC1", "25.3@6908880", "-half"},
		{"vulkan", 0x8086, "", "Intel(R) Iris(R) Xe Graphics (TGL GT2)", "Intel open-source Mesa driver Mesa 25.2.8", "-half"},
		{"vulkan", 0x8086, "", "Intel(R) Arc(TM) A770 Graphics (DG2)", "Intel open-source Mesa driver Mesa 25.2.8", ""},
		{"vulkan", 0x1002, "", "AMD Radeon Pro 5500M", "MoltenVK 1.4.1", "-subgroup"},
		{"vulkan", 0x1002, "", "AMD Radeon RX 6900 XT (RADV NAVI21)", "radv Mesa 25.0.7-2", "note"},
		{"vulkan", 0x1002, "", "AMD Radeon RX 6900 XT (RADV NAVI21)", "radv Mesa 26.0.5-1", ""},
		{"vulkan", 0x10005, "", "llvmpipe (LLVM 15.0.6, 256 bits)", "llvmpipe Mesa 22.3.6", ""},
		{"opencl", 0x5143, "QUALCOMM", "QUALCOMM Adreno(TM)", "OpenCL 2.0 QUALCOMM build: commit #272cf717f5 Compiler E031.38.01.08", "-subgroup note"},
		{"opencl", 0, "QUALCOMM", "OpenCL 3.0 Adreno(TM) 730", "OpenCL 3.0 QUALCOMM build: x Compiler E031.38.11.14", "note note"},
		{"opencl", 0, "QUALCOMM", "OpenCL 3.0 Adreno(TM) 840", "OpenCL 3.0 QUALCOMM build: 0842.14.3 Compiler E031.50.19.13", ""},
		{"opencl", 0, "QUALCOMM", "OpenCL 3.0 Adreno(TM) 850", "OpenCL 3.0 QUALCOMM Compiler E17.51", ""},
		{"opencl", 0x6c636f70, "The pocl project", "pthread-znver3", "3.1", ""},
		{"opencl", 0x6c636f70, "The pocl project", "cpu-znver3", "7.1", "note"},
		{"gles", 0, "Broadcom", "V3D 4.2", "OpenGL ES 3.1 Mesa 24.2.8", "note"},
		{"gles", 0, "Mesa", "llvmpipe (LLVM 15.0.6, 256 bits)", "OpenGL ES 3.2 Mesa 22.3.6", ""},
	} {
		var got []string
		for _, q := range For(c.api, c.vendor, c.name, c.device, c.driver) {
			got = append(got, q.Avoid...)
			if s := q.String(); !strings.Contains(s, q.Why) || !strings.Contains(s, q.Report) {
				t.Errorf("%s", s)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s %#x %s %s %s: avoid %q, want %q", c.api, c.vendor, c.name, c.device, c.driver, got, c.want)
		}
	}
}

func TestRange(t *testing.T) {
	for _, c := range []struct {
		from, before, driver string
		want                 bool
	}{
		{"", "", "anything", true},
		{"1.2", "", "1.2", true}, {"1.2", "", "1.1.9", false}, {"1.2", "", "1.10", true},
		{"", "1.2", "1.1.99", true}, {"", "1.2", "1.2.0", false}, {"", "38.11", "38.11.0", false},
		{"1", "2", "Mesa 1.5 (git-abc)", true}, {"7", "", "7", true}, {"7", "", "pocl 6", false},
		{"1", "2", "no number", false}, {"1", "", "1.99999999999999999999", false},
	} {
		from, err1 := parseVersion(c.from)
		before, err2 := parseVersion(c.before)
		e := entry{from: from, before: before}
		if got := e.inRange(c.driver); got != c.want || err1 != nil || err2 != nil {
			t.Errorf("%q in [%s, %s): %v (%v, %v)", c.driver, c.from, c.before, got, err1, err2)
		}
	}
}

func TestParse(t *testing.T) {
	for _, text := range []string{"", "{}", `[{"device":"("}]`, `[{"vendor":"qualcomm"}]`, `[{"from":"1.x"}]`, `[{"before":"-1"}]`} {
		if _, err := parse([]byte(text)); err == nil {
			t.Errorf("%s is read", text)
		}
	}
}
