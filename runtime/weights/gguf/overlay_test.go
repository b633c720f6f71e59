package gguf

import (
	"slices"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

func TestWith(t *testing.T) {
	f, err := Parse(encode(t, exampleWriter(t)))
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 3*18)
	data[0] = 1
	g, err := f.With(Tensor{Name: "token_embd.weight", DType: dtype.Q4_0, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	got, ok := g.Tensor("token_embd.weight")
	if !ok || got.DType != dtype.Q4_0 || !slices.Equal(got.Shape, []int{3, 32}) || &got.Data[0] != &data[0] {
		t.Errorf("%+v", got)
	}
	if a, b := g.Tensors()[1], f.Tensors()[1]; a.Name != b.Name || &a.Data[0] != &b.Data[0] {
		t.Error("another tensor has changed")
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if old, _ := f.Tensor("token_embd.weight"); old.DType != dtype.Q8_0 || old.Data == nil {
		t.Error("the file itself has changed")
	}
	_, err = f.With(Tensor{Name: "nobody", DType: dtype.F32, Data: data})
	checkError(t, err, `"nobody"`)
	_, err = f.With(Tensor{Name: "token_embd.weight", DType: dtype.Q4_0, Data: data[1:]})
	checkError(t, err, `"token_embd.weight"`, "53 bytes")
}
