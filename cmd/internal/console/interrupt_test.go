package console

import (
	"context"
	"errors"
	"os"
	"testing"
)

// TestScopes checks which work an interrupt ends.
func TestScopes(t *testing.T) {
	ctx, i := WatchInterrupts(context.Background())
	defer i.Stop()
	exits := 0
	i.Exit = func(code int) { exits += code }
	inner, end := i.Within(ctx)
	i.take(os.Interrupt)
	if !errors.Is(context.Cause(inner), ErrInterrupted) || ctx.Err() != nil {
		t.Error("the first interrupt does not end the inner work alone")
	}
	end()
	second, end := i.Within(ctx)
	end()
	if second.Err() == nil || ctx.Err() != nil {
		t.Error("the end of inner work does not end its context alone")
	}
	i.take(os.Interrupt)
	if !errors.Is(context.Cause(ctx), ErrInterrupted) || exits != 0 {
		t.Error("an interrupt outside does not end the whole")
	}
	i.take(os.Interrupt)
	if exits != ExitInterrupted {
		t.Errorf("one more: exit %d", exits)
	}
}
