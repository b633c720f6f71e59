package console

import (
	"cmp"
	"runtime/debug"
)

// release is the version that build/build.sh gives programs: that of the packages.
var release string

// Release is the version of a program from a package, "" of others.
func Release() string { return release }

// Revision is the version and the commit that the Go toolchain wrote into the program.
func Revision() string {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return cmp.Or(release, "(devel)")
	}
	version, commit, changed := b.Main.Version, "", ""
	for _, s := range b.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(len(s.Value), 10)]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	if commit != "" {
		return commit + changed
	}
	return cmp.Or(release, version)
}
