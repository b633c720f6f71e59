package owned

import "os"

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
