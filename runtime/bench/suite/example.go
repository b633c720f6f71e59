package suite

import _ "embed"

// Example is a suite to begin with: enough for a new board.
//
//go:embed example.yaml
var Example string

// FullExample has every key.
//
//go:embed full.yaml
var FullExample string
