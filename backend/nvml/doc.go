// Package nvml asks NVIDIA's management library (libnvidia-ml.so.1), which comes with
// the driver, what the GPUs draw, how warm they are, at which clocks they run and what
// holds those back. The library is loaded when the program runs; nothing is ever
// changed by it.
//
// It is no backend: nothing computes here. It stands among them because it is a
// driver's library like theirs, and only what is below backend may load one.
//
// Every function that a driver lacks, and every error it gives, is an error of that
// reading alone. A library that does not answer within a time limit is not asked
// again: its thread is left behind, and all readings give an error from then on.
//
// Environment: LEDGE_LIBNVML names the library to load instead.
//
// Source: NVIDIA's NVML API reference. Power is in mW (of the whole card: GPU and
// memory, on boards since Ampere a mean over a second), energy in mJ since the driver
// was loaded (from Volta on), clocks in MHz, temperatures in °C, times of violations
// in ns.
package nvml
