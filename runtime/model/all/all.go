// Package all links every architecture in.
package all

import (
	_ "github.com/ledge-run/ledge/runtime/model/gemma2"
	_ "github.com/ledge-run/ledge/runtime/model/gemma3"
	_ "github.com/ledge-run/ledge/runtime/model/llama"
	_ "github.com/ledge-run/ledge/runtime/model/phi3"
	_ "github.com/ledge-run/ledge/runtime/model/qwen2"
	_ "github.com/ledge-run/ledge/runtime/model/qwen3"
)
