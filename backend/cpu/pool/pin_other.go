//go:build !linux

package pool

const canPin = false

type binding struct{}

func (*binding) is() bool       { return false }
func (*binding) to(int)         {}
func (*binding) undo()          {}
func (w *Worker) bindCaller()   {}
func (w *Worker) unbindCaller() {}

func osYield() {}
