// Command libledge is Ledge as a shared library for C, and for every language that can
// call C: ledge.h is its interface, docs/libledge.md shows how it is used, and
// build/libledge.sh builds it.
//
// The functions of ledge.h are C (calls.c). They check what a Go program could not:
// that this is no child made by fork, that structures have a size that is known. Then
// they call the functions here that begin with ledgego_, with handles as numbers and
// structures of the size that this version knows. No pointer of the caller's that need
// not be an address (a handle, the user pointer of a callback) is ever a pointer in Go.
//
// Without cgo, and on systems other than Linux, there is nothing but this file.
package main

func main() {} // never called
