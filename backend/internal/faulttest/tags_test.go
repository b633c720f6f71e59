//go:build !gles

package faulttest

const tags = ""
