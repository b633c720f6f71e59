//go:build !linux

package main

import "errors"

func pin(int) error { return errors.New("threads can be pinned on Linux only") }
