package engine

import (
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/chat"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/tokenizer"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// source shows a GGUF file to package model.
type source struct{ f *gguf.File }

func (s source) Value(key string) (any, bool) { return s.f.Value(key) }

func (s source) TensorType(name string) (dtype.DType, []int, bool) {
	t, ok := s.f.Tensor(name)
	if !ok {
		return dtype.Invalid, nil, false
	}
	return t.DType, t.Shape, true
}

// Network reads a file's architecture and hyperparameters.
func Network(f *gguf.File) (model.Model, error) { return model.New(source{f}) }

// Tokenizer makes a file's tokenizer.
func Tokenizer(f *gguf.File) (*tokenizer.Tokenizer, error) {
	c, err := tokenizer.FromMetadata(f.Value)
	if err != nil {
		return nil, err
	}
	return tokenizer.New(c)
}

// ChatTemplate makes a file's chat template; ChatML if it has none.
func ChatTemplate(f *gguf.File, t *tokenizer.Tokenizer) (*chat.Template, error) {
	o := chat.Options{BOS: tokenText(t, t.BOS()), EOS: tokenText(t, t.EOS())}
	text, ok := f.String("tokenizer.chat_template")
	if v, there := f.Value("tokenizer.chat_template"); there && !ok {
		return nil, fmt.Errorf("metadata key \"tokenizer.chat_template\" is %s: want a text", model.Show(v))
	}
	if text == "" {
		return chat.ChatML(o)
	}
	c, err := chat.New(text, o)
	if err != nil {
		return nil, fmt.Errorf("the model's chat template: %w", err)
	}
	return c, nil
}

func tokenText(t *tokenizer.Tokenizer, id int32) string {
	if id < 0 {
		return ""
	}
	return t.TokenText(id)
}
