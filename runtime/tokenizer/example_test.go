package tokenizer_test

import (
	"fmt"

	"github.com/ledge-run/ledge/runtime/tokenizer"
)

func Example() {
	// A GGUF file's metadata; in the program it is the reader's Value method.
	metadata := map[string]any{
		"tokenizer.ggml.model":        "gpt2",
		"tokenizer.ggml.pre":          "gpt-2",
		"tokenizer.ggml.tokens":       []string{"h", "i", "Ġ", "!", "hi", "Ġhi", "<|im_end|>"},
		"tokenizer.ggml.merges":       []string{"h i", "Ġ hi"},
		"tokenizer.ggml.eos_token_id": uint32(6),
	}
	config, err := tokenizer.FromMetadata(func(key string) (any, bool) { v, ok := metadata[key]; return v, ok })
	if err != nil {
		fmt.Println(err)
		return
	}
	tok, err := tokenizer.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	ids := tok.Encode("hi hi!<|im_end|>", tokenizer.EncodeOptions{ParseSpecial: true})
	fmt.Println(ids)

	d := tok.NewDecoder(false)
	for _, id := range ids {
		if tok.IsEOG(id) {
			break
		}
		fmt.Printf("%q ", d.Push(id))
	}
	fmt.Printf("%q\n", d.Flush())
	// Output:
	// [4 5 3 6]
	// "hi" " hi" "!" ""
}
