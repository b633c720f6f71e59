//go:build !race

package opencl

const raceDetector = false
