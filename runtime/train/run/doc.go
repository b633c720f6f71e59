// Package run trains a model as a recipe says: it makes the network and the data, takes
// the steps, keeps checkpoints and a log of every step, and writes the model's file. The
// same recipe goes on where it stopped, with the same bits as if it had not.
//
// What sections of a recipe make of a run is in plan.go: the graph's options, the
// trainer's, and what is written at the end.
package run
