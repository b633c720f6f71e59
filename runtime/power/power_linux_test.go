package power

import (
	"reflect"
	"slices"
	"testing"
	"testing/fstest"
)

func files(all map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range all {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// orin is what an Orin Nano with JetPack 6 has, as far as this package looks.
var orin = map[string]string{
	"proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\x00",
	"etc/nv_tegra_release":   "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n",
	"etc/nvpmodel.conf": `###########################
#   < PARAM TYPE=FILE NAME=CPU_ONLINE >
#< POWER_MODEL ID=9 NAME=OFF >
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
<  POWER_MODEL  ID=2  NAME=MAXN_SUPER >
< PM_CONFIG DEFAULT=1 >
`,
	"var/lib/nvpmodel/status":                                 "pmode:0001\n",
	"sys/class/devfreq/17000000.gpu/cur_freq":                 "306000000\n",
	"sys/class/devfreq/17000000.gpu/min_freq":                 "306000000\n",
	"sys/class/devfreq/17000000.gpu/max_freq":                 "918000000\n",
	"sys/class/devfreq/15340000.vic/max_freq":                 "1\n",
	"sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "729600\n",
	"sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq": "729600\n",
	"sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq": "1344000\n",
	"sys/class/hwmon/hwmon0/name":                             "tmp451\n",
	"sys/class/hwmon/hwmon1/name":                             "ina3221\n",
	"sys/class/hwmon/hwmon1/in1_label":                        "VDD_IN\n",
	"sys/class/hwmon/hwmon1/in1_input":                        "4960\n",
	"sys/class/hwmon/hwmon1/curr1_input":                      "1200\n",
	"sys/class/hwmon/hwmon1/in2_label":                        "VDD_CPU_GPU_CV\n",
	"sys/class/hwmon/hwmon1/in2_input":                        "4952\n",
	"sys/class/hwmon/hwmon1/curr2_input":                      "250\n",
	"sys/class/hwmon/hwmon1/in3_label":                        "NC\n",
}

func TestJetson(t *testing.T) {
	got, ok := read(files(orin))
	want := Board{
		Model: "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", Release: "R36.4.3",
		Mode: &Mode{1, "25W", true}, Modes: []Mode{{0, "15W", true}, {1, "25W", true}, {2, "MAXN_SUPER", true}},
		GPU: Clock{306e6, 306e6, 918e6}, CPU: Clock{729600e3, 729600e3, 1344e6},
		Rails: []Rail{{"VDD_CPU_GPU_CV", 4952 * 250 / 1e6}, {"VDD_IN", 4960 * 1200 / 1e6}},
	}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v\nwant %+v", got, ok, want)
	}
	notes := []string{"power mode 25W; MAXN_SUPER is faster: sudo nvpmodel -m 2", "clocks follow the load; sudo jetson_clocks holds them at their highest"}
	if !slices.Equal(got.Notes(), notes) {
		t.Errorf("notes %q", got.Notes())
	}
}

func TestNotKnown(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		ok    bool
		notes int
	}{
		"a desktop":           {map[string]string{"sys/class/hwmon/hwmon1/name": "ina3221\n"}, false, 0},
		"another board":       {map[string]string{"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\x00"}, false, 0},
		"nothing readable":    {map[string]string{"proc/device-tree/model": "NVIDIA Jetson AGX Orin\x00"}, true, 0},
		"a container":         {map[string]string{"proc/device-tree/compatible": "nvidia,p3737-0000+p3701-0005\x00nvidia,tegra234\x00"}, true, 0},
		"a mode not listed":   {map[string]string{"etc/nv_tegra_release": "# R35 (release), REVISION: 6.0, GCID: 1\n", "var/lib/nvpmodel/status": "pmode:0007"}, true, 0},
		"clocks held":         {map[string]string{"etc/nv_tegra_release": "# R35 (release), REVISION: 6.0, GCID: 1\n", "sys/class/devfreq/17000000.ga10b/min_freq": "1300500000", "sys/class/devfreq/17000000.ga10b/max_freq": "1300500000"}, true, 0},
		"numbers of nonsense": {map[string]string{"etc/nv_tegra_release": "# R35 (release), REVISION: 6.0\n", "sys/class/devfreq/17000000.gpu/max_freq": "-5 apples", "var/lib/nvpmodel/status": "pmode:"}, true, 0},
	} {
		b, ok := read(files(c.files))
		if ok != c.ok || len(b.Notes()) != c.notes {
			t.Errorf("%s: %+v, %v, notes %q", name, b, ok, b.Notes())
		}
	}
}

func TestClock(t *testing.T) {
	for want, c := range map[string]Clock{
		"unknown":               {},
		"306 of 918 MHz":        {306e6, 306e6, 918e6},
		"918 of 918 MHz, fixed": {918e6, 918e6, 918e6},
		"2133 MHz":              {Now: 2133e6},
	} {
		if got := c.String(); got != want {
			t.Errorf("%+v prints %q, want %q", c, got, want)
		}
	}
}
