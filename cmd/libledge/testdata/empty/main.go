// A library with nothing in it but Go: what valgrind says of it, it says of every one.
package main

import "C"

//export touch
func touch() C.int {
	done := make(chan int)
	go func() { done <- 0 }()
	return C.int(<-done)
}

func main() {}
