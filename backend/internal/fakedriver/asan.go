//go:build asan

package fakedriver

const asan = true
