// Package all links in every backend of a build. Programs import it for its side
// effects; a library that wants one backend imports that one.
//
// Which backends there are is decided by build tags, one file here for each:
//
//	no tags          cpu, and what needs no cgo: it loads its driver at run time
//	-tags cuda,gles  those that need cgo, too (build/build.sh)
//	-tags static     cpu only: CGO_ENABLED=0 gives a fully static program
//
// That is vulkan and opencl in a plain build, and cuda and gles besides with the tags
// cuda and gles. Without its tag either registers a driver that says how to build it;
// npu is in no build yet and registers none, so that asking for it by name is an
// error which lists what is there. What a build has is loaded only where it has
// proven itself (package trust).
package all

import _ "github.com/ledge-run/ledge/backend/cpu" // in every build
