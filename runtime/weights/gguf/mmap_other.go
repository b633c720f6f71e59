//go:build !unix || aix || solaris

package gguf

import "os"

// readFile reads the file: there is no mapping here.
func readFile(path string, size int) (data []byte, mapped bool, err error) {
	data, err = os.ReadFile(path)
	return data, false, err
}

func unmap([]byte) error { return nil }

func pageSize() int { return 1 }

func madvise([]byte, Advice) error { return nil }
