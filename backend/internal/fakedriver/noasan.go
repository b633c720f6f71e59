//go:build !asan

package fakedriver

const asan = false
