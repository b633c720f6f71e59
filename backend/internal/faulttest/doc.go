// Package faulttest has tests alone: the whole of Ledge, from a model's file to
// its text, with a faulty driver library before a real one that computes on the
// processor. Whatever the driver does, there must be the right text or one clear
// error, in time.
//
// The faulty libraries are those of the backends' own tests (testdata of
// backend/vulkan, backend/opencl and backend/gles, the last with -tags gles), and
// package fakedriver's with -tags cuda. Each test runs in a process of its own, so
// that what a faulty driver leaves behind ends with it and a crash is one failed test.
//
// With LEDGE_TEST_FULL every call of a generation fails in every way, which takes
// some minutes; otherwise a selection does.
package faulttest
