package ledge_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/ledge-run/ledge"
)

// tinyModel unpacks a test model, whose weights are random: it runs like any
// other but talks nonsense.
func tinyModel() string {
	in, err := os.Open("runtime/model/testdata/llama-gqa.gguf.gz")
	if err != nil {
		log.Fatal(err)
	}
	defer in.Close()
	z, err := gzip.NewReader(in)
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ledge")
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "tiny.gguf")
	out, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(out, z); err != nil {
		log.Fatal(err)
	}
	if err := out.Close(); err != nil {
		log.Fatal(err)
	}
	return path
}

func Example() {
	ctx := context.Background()
	path := tinyModel() // or "model.gguf"
	defer os.RemoveAll(filepath.Dir(path))

	m, err := ledge.Open(ctx, path, ledge.WithThreads(1))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s := m.NewSession()
	defer s.Close()

	for t, err := range s.Generate(ctx, "Once upon a time", ledge.Temperature(0), ledge.MaxTokens(8)) {
		if err != nil {
			log.Fatal(err)
		}
		_ = t.Text // print it
	}
	u := s.Usage()
	fmt.Println(m.Info().Architecture, m.Device().Name, u.GeneratedTokens, u.Reason)
	// Output: llama cpu 8 length
}

// A conversation is sent in full with every turn; only what is new is read.
func ExampleSession_Chat() {
	ctx := context.Background()
	path := tinyModel()
	defer os.RemoveAll(filepath.Dir(path))
	m, err := ledge.Open(ctx, path, ledge.WithThreads(1))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s := m.NewSession()
	defer s.Close()

	talk := []ledge.Message{{Role: "user", Content: "Hi!"}}
	for range 2 {
		answer := ""
		for t, err := range s.Chat(ctx, talk, ledge.Temperature(0), ledge.MaxTokens(4)) {
			if err != nil {
				log.Fatal(err)
			}
			answer += t.Text
		}
		fmt.Println("from the cache:", s.Usage().CachedTokens > 10)
		talk = append(talk, ledge.Message{Role: "assistant", Content: answer}, ledge.Message{Role: "user", Content: "And then?"})
	}
	// Output:
	// from the cache: false
	// from the cache: true
}

// Two continuations of the same beginning share what has been read.
func ExampleSession_Fork() {
	ctx := context.Background()
	path := tinyModel()
	defer os.RemoveAll(filepath.Dir(path))
	m, err := ledge.Open(ctx, path, ledge.WithThreads(1))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	first := m.NewSession()
	defer first.Close()
	for _, err := range first.Generate(ctx, "Once upon a time", ledge.MaxTokens(1)) {
		if err != nil {
			log.Fatal(err)
		}
	}
	second, err := first.Fork()
	if err != nil {
		log.Fatal(err)
	}
	defer second.Close()
	for _, err := range second.Generate(ctx, "Once upon a day", ledge.MaxTokens(1)) {
		if err != nil {
			log.Fatal(err)
		}
	}
	u := second.Usage()
	fmt.Println(u.CachedTokens > 0, u.CachedTokens < u.PromptTokens)
	// Output: true true
}

func ExampleModel_Embed() {
	ctx := context.Background()
	path := tinyModel()
	defer os.RemoveAll(filepath.Dir(path))
	m, err := ledge.Open(ctx, path, ledge.WithThreads(1))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	v, err := m.Embed(ctx, "a text")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(v) == m.Info().Embedding)
	// Output: true
}

func ExampleContextError() {
	ctx := context.Background()
	path := tinyModel()
	defer os.RemoveAll(filepath.Dir(path))
	m, err := ledge.Open(ctx, path, ledge.WithThreads(1), ledge.WithContext(64))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s := m.NewSession()
	defer s.Close()
	for _, err := range s.GenerateTokens(ctx, make([]int32, 100)) {
		var long *ledge.ContextError
		if errors.As(err, &long) {
			fmt.Println(long.Tokens, "tokens,", long.Limit, "fit")
		}
	}
	// Output: 100 tokens, 64 fit
}
