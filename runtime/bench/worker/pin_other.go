//go:build !linux

package worker

func pin(int) {} // the thread runs where there is room
