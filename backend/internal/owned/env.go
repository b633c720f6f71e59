package owned

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Trusted tells whether the environment is that of somebody with the process's
// rights: not in a program that has more of them than its user (set-user-ID).
func Trusted() bool { return os.Geteuid() == os.Getuid() && os.Getegid() == os.Getgid() }

// Env is a variable that names code to load; "" if the environment is not trusted.
func Env(name string) string {
	if !Trusted() {
		return ""
	}
	return os.Getenv(name)
}

// Duration reads a variable's value: seconds, or a duration like 90s or 5m. What cannot
// be read, or is no time to wait, is an error that names the variable.
func Duration(name, value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if s, serr := strconv.ParseFloat(value, 64); serr == nil {
		d, err = time.Duration(min(s, 1e9)*float64(time.Second)), nil
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%s=%q: a number of seconds or a duration like 90s is needed", name, value)
	}
	return d, nil
}

// Switch reads a variable that turns something on or off; an empty one leaves it as it is.
// Another word is an error that names the variable.
func Switch(name string, byDefault bool) (bool, error) {
	value := os.Getenv(name)
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "":
		return byDefault, nil
	case "0", "off", "false", "no":
		return false, nil
	case "1", "on", "true", "yes":
		return true, nil
	}
	return byDefault, fmt.Errorf("%s=%q: 1 or 0 is needed", name, value)
}
