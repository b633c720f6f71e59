package main

import (
	"context"
	"io"
)

func reportCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error { return nil }
