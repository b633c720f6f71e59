package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/runtime/chat"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/tokenizer"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// modelInfo is the output of ledge info --json.
type modelInfo struct {
	Model        string        `json:"model"`
	Files        []string      `json:"files"`
	Size         int64         `json:"size_bytes"`
	GGUF         uint32        `json:"gguf_version"`
	Name         string        `json:"name,omitempty"`
	Licence      string        `json:"licence,omitempty"`
	Supported    bool          `json:"supported"`
	Problem      string        `json:"problem,omitempty"` // why it is not supported
	Architecture string        `json:"architecture"`
	Parameters   int64         `json:"parameters"`
	Layers       int           `json:"layers,omitempty"`
	Embedding    int           `json:"embedding,omitempty"`
	FeedForward  int           `json:"feed_forward,omitempty"`
	Heads        int           `json:"heads,omitempty"`
	KVHeads      int           `json:"kv_heads,omitempty"`
	KeyDim       int           `json:"key_dim,omitempty"`
	ValueDim     int           `json:"value_dim,omitempty"`
	Vocab        int           `json:"vocabulary,omitempty"`
	Context      int           `json:"context,omitempty"`
	Window       int           `json:"sliding_window,omitempty"`
	Types        []typeInfo    `json:"types"`
	Tokenizer    tokenizerInfo `json:"tokenizer"`
	Template     templateInfo  `json:"chat_template"`
	Memory       *memoryInfo   `json:"memory,omitempty"`
	Tensors      []tensorInfo  `json:"tensors,omitempty"`

	MemoryProblem string `json:"memory_problem,omitempty"` // why there is no memory
}

type typeInfo struct {
	Type       string `json:"type"`
	Tensors    int    `json:"tensors"`
	Parameters int64  `json:"parameters"`
	Bytes      int64  `json:"bytes"`
	Computable bool   `json:"computable"`
}

type tokenizerInfo struct {
	Model   string       `json:"model"`
	Pre     string       `json:"pre,omitempty"`
	Size    int          `json:"size,omitempty"`
	AddBOS  bool         `json:"add_bos"`
	AddEOS  bool         `json:"add_eos"`
	Special []tokenInfo  `json:"special,omitempty"`
	Ends    []namedToken `json:"end_of_generation,omitempty"`
	Problem string       `json:"problem,omitempty"`
}

type tokenInfo struct {
	Role string `json:"role"`
	namedToken
}

type namedToken struct {
	ID   int32  `json:"id"`
	Text string `json:"text"`
}

type templateInfo struct {
	Present      bool               `json:"present"`
	Bytes        int                `json:"bytes,omitempty"`
	Capabilities *chat.Capabilities `json:"capabilities,omitempty"`
	Problem      string             `json:"problem,omitempty"`
}

// memoryInfo estimates what a run needs, in bytes.
type memoryInfo struct {
	Device    string         `json:"device"`
	Places    []engine.Place `json:"places"` // how many layers run where
	Context   int            `json:"context"`
	CacheType string         `json:"cache_type"`
	Weights   int64          `json:"weights"` // packed
	Mapped    int64          `json:"mapped"`  // read from the file as needed
	Cache     int64          `json:"cache"`
	Work      int64          `json:"work"` // values of a batch
	Total     int64          `json:"total"`
}

type tensorInfo struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"` // outermost first
	Bytes int    `json:"bytes"`
}

// describeFile reads what every GGUF file tells.
func describeFile(f *gguf.File, name string, tensors bool) *modelInfo {
	info := &modelInfo{Model: name, Files: f.Paths(), Size: f.Size(), GGUF: f.Version()}
	info.Name, _ = f.String("general.name")
	info.Licence, _ = f.String("general.license")
	info.Architecture, _ = f.String("general.architecture")
	number := func(key string) int {
		n, _ := f.Int(info.Architecture + "." + key)
		return int(n)
	}
	info.Layers, info.Embedding, info.FeedForward = number("block_count"), number("embedding_length"), number("feed_forward_length")
	info.Heads, info.KVHeads = number("attention.head_count"), number("attention.head_count_kv")
	info.Context, info.Window = number("context_length"), number("attention.sliding_window")
	types := map[string]*typeInfo{}
	for _, t := range f.Tensors() {
		ti := types[t.DType.String()]
		if ti == nil {
			ti = &typeInfo{Type: t.DType.String(), Computable: t.DType.Computable()}
			types[ti.Type] = ti
		}
		ti.Tensors++
		ti.Parameters += int64(t.NumElems())
		ti.Bytes += int64(len(t.Data))
		info.Parameters += int64(t.NumElems())
		if tensors {
			info.Tensors = append(info.Tensors, tensorInfo{t.Name, t.DType.String(), t.Shape, len(t.Data)})
		}
	}
	info.Types = []typeInfo{}
	for _, t := range types {
		info.Types = append(info.Types, *t)
	}
	slices.SortFunc(info.Types, func(a, b typeInfo) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Type, b.Type))
	})
	return info
}

// describeNetwork sets what the architecture's own reading of the file says.
func (m *modelInfo) describeNetwork(n model.Info) {
	m.Layers, m.Embedding, m.FeedForward = n.Layers, n.Embedding, n.FeedForward
	m.Heads, m.KVHeads, m.KeyDim, m.ValueDim = n.Heads, n.KVHeads, n.KeyDim, n.ValueDim
	m.Vocab, m.Context, m.Window = n.Vocab, n.Context, n.Window
}

func describeText(f *gguf.File) (tokenizerInfo, templateInfo) {
	var ti tokenizerInfo
	var ci templateInfo
	ti.Model, _ = f.String("tokenizer.ggml.model")
	ti.Pre, _ = f.String("tokenizer.ggml.pre")
	text, ok := f.String("tokenizer.chat_template")
	ci.Present, ci.Bytes = ok && text != "", len(text)
	t, err := engine.Tokenizer(f)
	if err != nil {
		ti.Problem = err.Error()
		return ti, ci
	}
	ti.Size, ti.AddBOS, ti.AddEOS = t.Size(), t.AddsBOS(), t.AddsEOS()
	for _, s := range []struct {
		role string
		id   int32
	}{{"bos", t.BOS()}, {"eos", t.EOS()}, {"eot", t.EOT()}, {"unk", t.UNK()}, {"sep", t.SEP()}, {"pad", t.PAD()}} {
		if s.id >= 0 {
			ti.Special = append(ti.Special, tokenInfo{s.role, named(t, s.id)})
		}
	}
	for _, id := range t.EOG() {
		ti.Ends = append(ti.Ends, named(t, id))
	}
	if ci.Present {
		if c, err := engine.ChatTemplate(f, t); err != nil {
			ci.Problem = err.Error()
		} else {
			caps := c.Capabilities()
			ci.Capabilities = &caps
		}
	}
	return ti, ci
}

func named(t *tokenizer.Tokenizer, id int32) namedToken { return namedToken{id, t.TokenText(id)} }

// estimate plans a run on a device without loading anything.
func estimate(ctx context.Context, net model.Model, o engine.Options) (*memoryInfo, error) {
	ds, err := openDevices(ctx, o, false)
	if err != nil {
		return nil, err
	}
	defer closeDevices(ds)
	if o.Context == 0 {
		o.Context = min(engine.DefaultContext, net.Info().Context)
	}
	parts, err := engine.Graph(net, ds, o, "planned")
	if err != nil {
		return nil, err
	}
	places := engine.PlacesOf(parts)
	m := &memoryInfo{Device: places[0].Device, Places: places, Context: o.Context, CacheType: o.CacheType.String()}
	pages := (o.Context + backend.PageTokens - 1) / backend.PageTokens
	for _, p := range parts {
		m.Work += int64(p.Plan.Arena)
		m.add(p.Graph, pages)
	}
	m.Total = m.Weights + m.Cache + m.Work
	return m, nil
}

func (m *memoryInfo) add(g *graph.Graph, pages int) {
	uses := backend.WeightUses(g)
	for _, w := range g.Weights() {
		n, err := w.Type.DType.RowBytes(elements(w.Type.Shape))
		if err != nil {
			continue // verified: a weight's size is whole blocks
		}
		if uses[w.Name]&^backend.UseGather == 0 {
			m.Mapped += int64(n)
		} else {
			m.Weights += int64(n)
		}
	}
	for _, s := range g.States {
		switch s.Kind {
		case graph.Paged:
			m.Cache += int64(pages) * backend.PageTokens * int64(s.TokenBytes())
		case graph.Ring:
			m.Cache += int64(s.Window) * int64(s.TokenBytes())
		default:
			m.Cache += int64(s.Bytes)
		}
	}
}
