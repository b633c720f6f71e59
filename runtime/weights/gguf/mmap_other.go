//go:build !unix || aix || solaris

package gguf

import (
	"io"
	"os"
)

// readFile reads the file: there is no mapping here.
func readFile(path string, size int) (data []byte, mapped bool, info os.FileInfo, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, false, nil, err
	}
	data = make([]byte, size)
	_, err = io.ReadFull(f, data)
	return data, false, info, err
}

func unmap([]byte) error { return nil }

func pageSize() int { return 1 }

func madvise([]byte, Advice) error { return nil }
