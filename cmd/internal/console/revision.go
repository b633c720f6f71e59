package console

import "runtime/debug"

// Revision is the version and the commit that the Go toolchain wrote into the program.
func Revision() string {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
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
	return version
}
