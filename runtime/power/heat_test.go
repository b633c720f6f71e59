package power

import "testing"

func TestHeat(t *testing.T) {
	w := newTree(map[string]string{
		"sys/class/thermal/thermal_zone0/type": "cpu-thermal", "sys/class/thermal/thermal_zone0/temp": "45218",
		"sys/class/thermal/thermal_zone1/type": "gpu-thermal", "sys/class/thermal/thermal_zone1/temp": "-256000",
		"sys/class/thermal/thermal_zone2/type":   "cv0-thermal", // EAGAIN while it is off
		"sys/class/thermal/thermal_zone3/type":   "acpitz",
		"sys/class/thermal/thermal_zone3/temp":   "nonsense",
		"sys/class/thermal/cooling_device0/type": "pwm-fan", "sys/class/thermal/cooling_device0/cur_state": "1",
		"sys/class/thermal/cooling_device1/type": "thermal-cpufreq-0", "sys/class/thermal/cooling_device1/cur_state": "2", "sys/class/thermal/cooling_device1/max_state": "20",
		"sys/class/thermal/cooling_device2/type": "17000000.gpu-devfreq", "sys/class/thermal/cooling_device2/cur_state": "0",
		"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "3",
		"sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "4",
		"sys/devices/system/cpu/cpufreq/policy0/x":                         "",
	})
	h := w.meter().Heat()
	if len(h.Temperatures) != 1 || h.Temperatures[0] != (Temperature{"cpu-thermal", 45.218}) || len(h.Held) != 1 || h.Held[0] != "thermal-cpufreq-0 2 of 20" || h.Throttles != 7 {
		t.Errorf("%+v", h)
	}
	if h := new(Meter).Heat(); h.Temperatures != nil {
		t.Error(h)
	}
}
