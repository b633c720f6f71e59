package quantize

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/compress/encode"
	"github.com/ledge-run/ledge/runtime/compress/imatrix"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Override gives the tensors whose name the expression matches a type of their own;
// dtype.Invalid leaves them as they are.
type Override struct {
	Name *regexp.Regexp
	Type dtype.DType
}

// ParseOverride reads REGEXP=TYPE, in which TYPE may be "keep".
func ParseOverride(s string) (Override, error) {
	at := strings.LastIndexByte(s, '=')
	if at < 1 {
		return Override{}, fmt.Errorf("%q must be REGEXP=TYPE, such as ffn_down=q6_k", s)
	}
	re, err := regexp.Compile(s[:at])
	if err != nil {
		return Override{}, fmt.Errorf("%q is no regular expression: %w", s[:at], err)
	}
	if strings.EqualFold(s[at+1:], "keep") {
		return Override{re, dtype.Invalid}, nil
	}
	d, err := dtype.Parse(s[at+1:])
	if err != nil || !encode.Can(d) {
		return Override{}, fmt.Errorf("%q is not a type that tensors can be given: it must be keep or one of %s", s[at+1:], strings.Join(typeNames(), " "))
	}
	return Override{re, d}, nil
}

func typeNames() (names []string) {
	for _, d := range dtype.All() {
		if encode.Can(d) {
			names = append(names, d.String())
		}
	}
	return names
}

// Choice is what becomes of one tensor.
type Choice struct {
	Name     string
	Shape    []int
	From, To dtype.DType
	Before   int64  // bytes
	After    int64  // bytes
	Fixed    bool   // named by an override, or nothing to choose: norms, small tensors
	Note     string // why it is not what the recipe says, "" if it is
}

// Values is the number of values.
func (c *Choice) Values() int64 {
	n := int64(1)
	for _, s := range c.Shape {
		n *= int64(s)
	}
	return n
}

// Plan is what becomes of a file, in the order of its tensors.
type Plan struct {
	Recipe  Recipe
	Choices []Choice
	file    *gguf.File
	matrix  *imatrix.Matrix
	source  string // the matrix's file, for the metadata
}

// PlanOptions say what a plan goes by besides the recipe.
type PlanOptions struct {
	Overrides []Override
	Matrix    *imatrix.Matrix // or nil
	Source    string          // name of the matrix's file
}

// NewPlan decides on every tensor of a file.
func NewPlan(f *gguf.File, r Recipe, o PlanOptions) (*Plan, error) {
	p := &Plan{Recipe: r, file: f, matrix: o.Matrix, source: o.Source}
	facts := factsOf(f)
	facts.matrix = o.Matrix != nil
	layers := ranks(f)
	for i := range f.Tensors() {
		t := &f.Tensors()[i]
		c := Choice{Name: t.Name, Shape: t.Shape, From: t.DType, To: t.DType, Before: int64(len(t.Data)), Fixed: true}
		override := slices.IndexFunc(o.Overrides, func(v Override) bool { return v.Name.MatchString(t.Name) })
		switch {
		case !quantizable(t.Name, t.Shape):
			if override >= 0 && o.Overrides[override].Type != dtype.Invalid && o.Overrides[override].Type != t.DType {
				c.Note = "not a matrix of weights: left as it is"
			}
		case override >= 0 && o.Overrides[override].Type == dtype.Invalid:
			c.Note = "kept, as asked"
		case override >= 0:
			if want := o.Overrides[override].Type; t.RowLen()%want.BlockLen() != 0 {
				return nil, fmt.Errorf("%s cannot be %v: its rows of %d values are no whole blocks of %d", t.Name, want, t.RowLen(), want.BlockLen())
			}
			c.To, c.Note = o.Overrides[override].Type, "as asked"
		default:
			c.Fixed = false
			c.decide(r, tensor{kindOf(t.Name), layers[t.Name], len(t.Shape) == 3}, facts)
		}
		if err := c.measure(); err != nil {
			return nil, err
		}
		p.Choices = append(p.Choices, c)
	}
	for _, v := range o.Overrides {
		if !slices.ContainsFunc(p.Choices, func(c Choice) bool { return v.Name.MatchString(c.Name) }) {
			return nil, fmt.Errorf("no tensor's name matches %q; ledge info --tensors lists them", v.Name)
		}
	}
	return p, p.check()
}

// decide goes by the recipe. What is quantised already, in no more bits than it
// would get, stays: it would grow, or lose, for nothing.
func (c *Choice) decide(r Recipe, t tensor, f facts) {
	columns := c.Shape[len(c.Shape)-1]
	want := r.choose(t, f, columns)
	c.To = fallback(want, columns)
	if c.To != want {
		c.Note = fmt.Sprintf("rows of %d values have no whole blocks of %v", columns, want)
	}
	if c.From.Quantized() && c.From != c.To && bits(c.From) <= bits(c.To) {
		c.To, c.Note = c.From, "has no more bits than it would get: kept"
	}
}

// bits per value.
func bits(d dtype.DType) float64 { return 8 * float64(d.BlockBytes()) / float64(d.BlockLen()) }

func (c *Choice) measure() error {
	n, err := dtype.ByteSize(c.To, c.Shape)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	c.After = int64(n)
	return nil
}

// check finds out before anything is written what could not be.
func (p *Plan) check() error {
	found, asked := 0, 0
	for _, c := range p.Choices {
		if c.From == c.To {
			continue
		}
		if !c.From.Computable() {
			return fmt.Errorf("%s is of type %v, which Ledge cannot read: start from a file in F16, BF16 or another type of this list: %s", c.Name, c.From, strings.Join(typeNames(), " "))
		}
		if !p.asks(&c) {
			continue
		}
		asked++
		_, ok, err := p.weights(&c)
		if err != nil {
			return err
		}
		if ok {
			found++
		}
	}
	if asked > 0 && found == 0 {
		return fmt.Errorf("the importance matrix knows none of the tensors: it was made for another model")
	}
	return nil
}

func (p *Plan) weights(c *Choice) ([]float32, bool, error) {
	if p.matrix == nil || !c.To.Quantized() {
		return nil, false, nil
	}
	columns, matrices := c.Shape[len(c.Shape)-1], 1
	if len(c.Shape) == 3 {
		matrices = c.Shape[0]
	}
	w, ok, err := p.matrix.Weights(c.Name, columns, matrices)
	if err != nil && !strings.HasPrefix(c.Name, "blk.") {
		return nil, false, nil // matrices made from other programs have odd ones for the embedding
	}
	return w, ok, err
}

// asks tells the tensors that the matrix should know: those of the layers that are quantised.
func (p *Plan) asks(c *Choice) bool {
	return p.matrix != nil && c.From != c.To && c.To.Quantized() && strings.HasPrefix(c.Name, "blk.")
}

// Missing are the tensors that are quantised without importance, though there is a
// matrix: not the embedding, which has no inputs to measure.
func (p *Plan) Missing() (names []string) {
	for i := range p.Choices {
		c := &p.Choices[i]
		if !p.asks(c) {
			continue
		}
		if _, ok, _ := p.weights(c); !ok {
			names = append(names, c.Name)
		}
	}
	return names
}

// Requantized counts the tensors that are quantised a second time.
func (p *Plan) Requantized() (n int) {
	for _, c := range p.Choices {
		if c.From != c.To && c.From.Quantized() {
			n++
		}
	}
	return n
}

// Sizes are the bytes of all tensors before and after, and the number of values.
func (p *Plan) Sizes() (before, after, values int64) {
	for i := range p.Choices {
		before += p.Choices[i].Before
		after += p.Choices[i].After
		values += p.Choices[i].Values()
	}
	return before, after, values
}

// quantizable tells the tensors that are matrices of weights from those that are
// small and matter much: norms, biases, routers of experts, positions, convolutions,
// and mixing weights of recurrent layers.
func quantizable(name string, shape []int) bool {
	if len(shape) < 2 || !strings.HasSuffix(name, "weight") {
		return false
	}
	for _, part := range []string{"_norm.weight", "ffn_gate_inp.weight", "altup", "laurel", "per_layer_model_proj", "ssm_conv1d",
		"shortconv.conv.weight", "time_mix_", "attn_rel_b.weight", ".position_embd", "position_embd.weight", "token_types.weight",
		".rel_pos", ".patch_embd", ".patch_merger"} {
		if strings.Contains(name, part) {
			return false
		}
	}
	return true
}

// factsOf reads what the rules ask for.
func factsOf(f *gguf.File) facts {
	arch, _ := f.String("general.architecture")
	number := func(key string) int {
		key = arch + "." + key
		if n, ok := f.Int(key); ok {
			return int(n)
		}
		if list, ok := f.Ints(key); ok && len(list) > 0 {
			return int(list[0])
		}
		return 0
	}
	heads, keys := number("attention.head_count"), number("attention.head_count_kv")
	v := facts{layers: number("block_count"), experts: number("expert_count"), gqa: 1}
	if keys == 0 {
		keys = heads
	}
	if keys > 0 {
		v.gqa = heads / keys
	}
	v.wide = arch == "llama" && v.layers == 80 && heads != keys
	_, apart := f.Tensor("output.weight")
	v.tied = !apart
	for i := range f.Tensors() {
		if kindOf(f.Tensors()[i].Name).values() {
			v.values++
		}
	}
	return v
}

// ranks numbers, each kind for itself, the tensors whose layer the rules go by:
// those of values among themselves, and ffn_down, in the order of the layers.
// Models of experts go by the layer.
func ranks(f *gguf.File) map[string]int {
	type at struct {
		name  string
		layer int
	}
	var all []at
	for i := range f.Tensors() {
		name := f.Tensors()[i].Name
		all = append(all, at{name, layerOf(name)})
	}
	slices.SortFunc(all, func(a, b at) int {
		return cmp.Or(cmp.Compare(a.layer, b.layer), cmp.Compare(a.name, b.name))
	})
	ranks := map[string]int{}
	values, down := 0, 0
	experts := factsOf(f).experts > 1
	for _, t := range all {
		switch k := kindOf(t.name); {
		case !quantizable(t.name, []int{1, 1}):
		case k.values():
			ranks[t.name] = values
			values++
		case k == ffnDown:
			ranks[t.name] = down
			if experts {
				ranks[t.name] = t.layer
			}
			down++
		default:
			ranks[t.name] = t.layer
		}
	}
	return ranks
}

// layerOf is the number in blk.N., -1 for tensors outside the layers.
func layerOf(name string) int {
	rest, ok := strings.CutPrefix(name, "blk.")
	if !ok {
		return -1
	}
	digits, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1
	}
	return n
}
