package main

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what the processors have done since the machine started, in seconds
// of one processor.
type usage struct {
	busy, steal float64
	at          time.Time
}

// userHZ is the unit of /proc/stat, which Linux fixes for programs.
const userHZ = 100

// processors reads the usage of all processors; ok is false where the system
// does not tell.
func processors() (u usage, ok bool) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u, false
	}
	u, ok = parseStat(data)
	u.at = time.Now()
	return u, ok
}

// parseStat reads the first line of /proc/stat: user, nice, system, idle,
// iowait, irq, softirq and steal.
func parseStat(data []byte) (u usage, ok bool) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	f := strings.Fields(string(line))
	if len(f) < 9 || f[0] != "cpu" {
		return u, false
	}
	for i, word := range f[1:9] {
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return usage{}, false
		}
		switch i {
		case 3, 4: // idle
		case 7:
			u.steal = n / userHZ
		default:
			u.busy += n / userHZ
		}
	}
	return u, true
}

// disturbance is how many processors others kept busy and the hypervisor took
// away since before, when own processor time of ours was used.
func disturbance(before, after usage, own time.Duration) (others, steal float64) {
	wall := after.at.Sub(before.at).Seconds()
	if wall <= 0 {
		return 0, 0
	}
	// The clock of /proc/stat is coarse: less than nothing is nothing.
	return max(0, after.busy-before.busy-own.Seconds()) / wall, max(0, after.steal-before.steal) / wall
}

// loadAverage is the average of the last minute, 0 if unknown.
func loadAverage() float64 {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(data), " ")
	v, _ := strconv.ParseFloat(first, 64)
	return v
}

// processorInfo is the processor's name and the mean clock of all, 0 if unknown.
func processorInfo() (name string, mhz float64) {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor", 0
	}
	defer f.Close()
	n := 0.0
	for s := bufio.NewScanner(f); s.Scan(); {
		key, value, _ := strings.Cut(s.Text(), ":")
		switch strings.TrimSpace(key) {
		case "model name":
			name = strings.TrimSpace(value)
		case "cpu MHz":
			if v, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				mhz, n = mhz+v, n+1
			}
		}
	}
	if n > 0 {
		mhz /= n
	}
	if name == "" {
		name = "unknown processor"
	}
	return name, mhz
}
