package grad_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/selftest"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/grad"
	"github.com/ledge-run/ledge/graph/graphtest"
)

// segments cut the rows of every run here: rows of one must not see another's.
var segments = []int{4, 1, 6}

const rowsOut = 5 // R

// arguments makes a run's: indices by the input's name, floats at random.
func arguments(g *graph.Graph, rng *rand.Rand) *backend.Args {
	a := &backend.Args{Seqs: len(segments)}
	total := 0
	for i, n := range segments {
		a.Segments = append(a.Segments, backend.Segment{Seq: i, Rows: n})
		total += n
	}
	for _, in := range g.Inputs() {
		n, _ := in.Type.Shape.NumElems(dtype.Binding{T: total, R: rowsOut})
		var v backend.Tensor
		for i := range n {
			switch in.Name {
			case "ids": // all rows of a table of 9, some more than once
				v.I32 = append(v.I32, int32(i*5%9))
			case "rows":
				v.I32 = append(v.I32, []int32{1, 3, 10, 3, 0}[i])
			case "pos":
				v.I32 = append(v.I32, int32(i*3))
			case "labels":
				v.I32 = append(v.I32, []int32{2, -1, 0, 6, 2}[i%5])
			case "key":
				v.I32 = append(v.I32, []int32{-7, 3}[i])
			case "targets": // two a row, one of them none
				v.I32 = append(v.I32, []int32{2, 5, 4, 3, 1, -1, 6, 0, 3, 2}[i%10])
			case "probs": // of two, together less than 1
				v.F32 = append(v.F32, float32(0.05+0.4*rng.Float64()))
			default:
				v.F32 = append(v.F32, float32(rng.NormFloat64()))
			}
		}
		a.Inputs = append(a.Inputs, v)
	}
	return a
}

func floats(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	return x
}

// checkGradients compares all gradients of g's output y by its weights with central
// differences, computed in float64, and what training adds to the gradients' states
// with them.
func checkGradients(t *testing.T, g *graph.Graph) {
	t.Helper()
	var by []string
	for _, w := range g.Weights() {
		if !strings.HasPrefix(w.Name, "const") {
			by = append(by, w.Name)
		}
	}
	d, err := grad.Of(g, "y", by...)
	if err != nil {
		t.Fatalf("%v\n%s", err, g)
	}
	r, err := selftest.NewReferenceOf[float64](d, nil)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 14))
	for _, w := range d.Weights() {
		n, _ := w.Type.Shape.NumElems(dtype.Binding{})
		r.Weights[w.Name] = floats(rng, n)
		if strings.HasPrefix(w.Name, "const.positive") {
			for i, v := range r.Weights[w.Name] {
				r.Weights[w.Name][i] = 1 + math.Abs(v)
			}
		}
	}
	a := arguments(d, rng)
	seed := a.Inputs[len(a.Inputs)-1].F32
	run := func() [][]float64 {
		out, err := r.Run(a)
		if err != nil {
			t.Fatalf("%v\n%s", err, d)
		}
		return out
	}
	loss := func() float64 {
		sum := 0.0
		for i, v := range run()[0] {
			sum += v * float64(seed[i])
		}
		return sum
	}
	got := run()[1:]
	for i, name := range by {
		w, scale := r.Weights[name], 0.0
		for _, v := range got[i] {
			scale = max(scale, math.Abs(v))
		}
		step := max(1, len(w)/24)
		for j := 0; j < len(w); j += step {
			const h = 1e-5
			x := w[j]
			w[j] = x + h
			up := loss()
			w[j] = x - h
			down := loss()
			w[j] = x
			want := (up - down) / (2 * h)
			if !(math.Abs(got[i][j]-want) <= 1e-6*max(scale, 1e-2)) {
				t.Errorf("d y / d %s[%d] is %.9g, by differences %.9g (largest %.3g)\n%s", name, j, got[i][j], want, scale, d)
				return
			}
		}
		if scale == 0 {
			t.Errorf("all gradients by %s are zero", name)
		}
	}
	checkTrained(t, g, a, r.Weights, by, got, false)
	checkTrained(t, g, a, r.Weights, by, got, true)
}

// checkTrained compares the gradients that a step of training adds to its states with
// those that are wanted of the same weights and inputs.
func checkTrained(t *testing.T, g *graph.Graph, a *backend.Args, weights map[string][]float64, by []string, want [][]float64, chunks bool) {
	t.Helper()
	o := grad.Options{Loss: "y", Chunks: chunks, Train: func(name string) bool { return !strings.HasPrefix(name, "const") }}
	d, _, err := grad.Train(g, o)
	if err != nil {
		t.Fatalf("%v\n%s", err, g)
	}
	r, err := selftest.NewReferenceOf[float64](d, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Weights = weights
	for _, name := range by {
		r.Tensors[name] = weights[name]
	}
	const runs = 2 // they add up
	var losses [][]float64
	for range runs {
		if losses, err = r.Run(a); err != nil {
			t.Fatalf("%v\n%s", err, d)
		}
	}
	checkForward(t, g, o, a, r, losses[0])
	for i, name := range by {
		for j, v := range r.Tensors[grad.Param{Name: name}.Grad()] {
			if w := runs * want[i][j]; !(math.Abs(v-w) <= 1e-12*max(1, math.Abs(w))) {
				t.Errorf("training adds %.17g to the gradient of %s[%d], want %.17g\n%s", v, name, j, w, d)
				return
			}
		}
	}
}

// checkForward compares the losses of evaluation with those of training.
func checkForward(t *testing.T, g *graph.Graph, o grad.Options, a *backend.Args, trained *selftest.ReferenceOf[float64], want []float64) {
	t.Helper()
	for _, n := range g.Nodes {
		if a, ok := n.Attr.(graph.CrossEntropyAttr); n.Op == graph.OpDropout || ok && a.Temperature != 0 {
			return // not in evaluation
		}
	}
	f, err := grad.Forward(g, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := selftest.NewReferenceOf[float64](f, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Weights = trained.Weights
	for name := range r.Tensors {
		r.Tensors[name] = trained.Tensors[name]
	}
	b := *a
	b.Inputs = b.Inputs[:len(b.Inputs)-1] // without what rows count
	got, err := r.Run(&b)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got[0] {
		if !(math.Abs(v-want[i]) <= 1e-12*max(1, math.Abs(v))) {
			t.Errorf("evaluation gives %.17g in row %d, training %.17g\n%s", v, i, want[i], f)
		}
	}
}

// graphOf makes a graph from lines in which nodes have names (@x) in place of
// numbers; $0, $1... are values of T rows that come from weights, so that they can
// be varied: rows of tables of the given widths. The last line is the output.
func graphOf(t *testing.T, sizes []int, lines string) *graph.Graph {
	all := []string{`@ids = input "ids" : i32[T]`}
	for i, d := range sizes {
		all = append(all, fmt.Sprintf("@t%d = weight \"t%d\" : f32[9, %d]", i, i, d),
			fmt.Sprintf("$%d = embed(@t%d, @ids) : f32[T, %d]", i, i, d))
	}
	all = append(all, strings.Split(lines, "\n")...)
	number := map[string]string{}
	name := regexp.MustCompile(`[@$]\w+`)
	text := "graph \"g\" T=11 R=5\n"
	for i, l := range all {
		l = strings.TrimSpace(l)
		number[name.FindString(l)] = fmt.Sprintf("%%%d", i)
		text += name.ReplaceAllStringFunc(l, func(s string) string { return number[s] }) + "\n"
	}
	return graphtest.Parse(t, text+fmt.Sprintf("output \"y\" %%%d\n", len(all)-1))
}

// qkv are the lines that make queries, keys and values of three embedded values.
func qkv(heads, key, groups, value int) string {
	return fmt.Sprintf(`@q = reshape($0) shape=[T,%[1]d,%[2]d] : f32[T, %[1]d, %[2]d]
		@k = reshape($1) shape=[T,%[3]d,%[2]d] : f32[T, %[3]d, %[2]d]
		@v = reshape($2) shape=[T,%[3]d,%[4]d] : f32[T, %[3]d, %[4]d]
		`, heads, key, groups, value)
}

// head are the inputs of a loss, and what is read out of an embedded value of width 5.
const head = `@r = input "rows" : i32[R]
			@l = input "labels" : i32[R]
			@t = input "targets" : i32[R, 2]
			@p = input "probs" : f32[R, 2]
			@x = gather_rows($0, @r) : f32[R, 5]
			`

// TestDifferences: every rule against finite differences.
func TestDifferences(t *testing.T) {
	for _, c := range []struct {
		name  string
		sizes []int
		lines string
	}{
		{"embed", []int{3}, `@y = scale($0) factor=1 : f32[T, 3]`},
		{"linear", []int{7}, `@w = weight "w" : f32[5, 7]
			@y = linear($0, @w) : f32[T, 5]`},
		{"linear-3d", []int{6}, `@w = weight "w" : f32[5, 3]
			@x = reshape($0) shape=[T,2,3] : f32[T, 2, 3]
			@y = linear(@x, @w) : f32[T, 2, 5]`},
		{"linear-frozen", []int{7}, `@w = weight "const" : f32[5, 7]
			@y = linear($0, @w) : f32[T, 5]`},
		{"linear_t", []int{7}, `@w = weight "w" : f32[7, 5]
			@y = linear_t($0, @w) : f32[T, 5]`},
		{"merged", []int{7}, `@w = weight "w" : f32[5, 7]
			@b = weight "b" : f32[5, 2]
			@a = weight "a" : f32[2, 7]
			@d = matmul(@b, @a) : f32[5, 7]
			@m = add(@w, @d) : f32[5, 7]
			@y = linear($0, @m) : f32[T, 5]`},
		{"merged-other-order", []int{7}, `@w = weight "w" : f32[5, 7]
			@u = weight "u" : f32[5, 7]
			@d = silu(@u) : f32[5, 7]
			@m = add(@d, @w) : f32[5, 7]
			@y = linear($0, @m) : f32[T, 5]`},
		{"difference-of-weights", []int{7}, `@w = weight "w" : f32[5, 7]
			@u = weight "u" : f32[5, 7]
			@m = sub(@w, @u) : f32[5, 7]
			@y = linear($0, @m) : f32[T, 5]`},
		{"weight-twice", []int{7}, `@w = weight "w" : f32[5, 7]
			@m = add(@w, @w) : f32[5, 7]
			@y = linear($0, @m) : f32[T, 5]`},
		{"merged-table", []int{4}, `@u = weight "u" : f32[9, 4]
			@d = tanh(@u) : f32[9, 4]
			@m = add(@t0, @d) : f32[9, 4]
			@x = embed(@m, @ids) : f32[T, 4]
			@y = mul(@x, $0) : f32[T, 4]`},
		{"tied", []int{7}, `@y = linear($0, @t0) : f32[T, 9]`},
		{"matmul", []int{6, 8}, `@a = reshape($0) shape=[T,3,2] : f32[T, 3, 2]
			@b = reshape($1) shape=[T,2,4] : f32[T, 2, 4]
			@y = matmul(@a, @b) : f32[T, 3, 4]`},
		{"rms_norm", []int{7}, `@w = weight "w" : f32[7]
			@y = rms_norm($0, @w) eps=0.1 : f32[T, 7]`},
		{"rms_norm-plain", []int{1}, `@y = rms_norm($0) eps=0.5 : f32[T, 1]`},
		{"rms_norm-heads", []int{12}, `@w = weight "w" : f32[4]
			@x = reshape($0) shape=[T,3,4] : f32[T, 3, 4]
			@y = rms_norm(@x, @w) eps=1e-06 : f32[T, 3, 4]`},
		{"layer_norm", []int{7}, `@w = weight "w" : f32[7]
			@b = weight "b" : f32[7]
			@y = layer_norm($0, @w, @b) eps=0.01 : f32[T, 7]`},
		{"layer_norm-plain", []int{5}, `@y = layer_norm($0) eps=0.01 : f32[T, 5]`},
		{"rope-pairs", []int{10}, `@p = input "pos" : i32[T]
			@x = reshape($0) shape=[T,2,5] : f32[T, 2, 5]
			@y = rope(@x, @p) mode=pairs dims=4 base=100 : f32[T, 2, 5]`},
		{"rope-yarn", []int{8}, `@p = input "pos" : i32[T]
			@f = weight "const.positive" : f32[4]
			@x = reshape($0) shape=[T,1,8] : f32[T, 1, 8]
			@y = rope(@x, @p, @f) mode=halves dims=8 base=100 scaling=yarn factor=4 orig_ctx=16 beta_fast=32 beta_slow=1 ext=1 mag=0.7 : f32[T, 1, 8]`},
		{"attention-causal", []int{6, 6, 6}, qkv(2, 3, 2, 3) + `@y = self_attention(@q, @k, @v) scale=0.6 mask=causal : f32[T, 2, 3]`},
		{"attention-grouped", []int{20, 10, 6}, qkv(4, 5, 2, 3) + `@y = self_attention(@q, @k, @v) scale=0.4 soft_cap=2 window=3 mask=causal : f32[T, 4, 3]`},
		{"attention-bidirectional", []int{9, 3, 2}, qkv(3, 3, 1, 2) + `@y = self_attention(@q, @k, @v) scale=-0.5 mask=bidirectional : f32[T, 3, 2]`},
		{"attention-bidirectional-window", []int{2, 2, 1}, qkv(1, 2, 1, 1) + `@y = self_attention(@q, @k, @v) scale=0.5 window=2 mask=bidirectional : f32[T, 1, 1]`},
		{"attention-of-one", []int{4}, `@x = reshape($0) shape=[T,2,2] : f32[T, 2, 2]
@y = self_attention(@x, @x, @x) scale=0.5 mask=causal : f32[T, 2, 2]`},
		{"add", []int{4, 4}, `@y = add($0, $1) : f32[T, 4]`},
		{"add-self", []int{4}, `@y = add($0, $0) : f32[T, 4]`},
		{"add-rows", []int{4}, `@b = weight "b" : f32[4]
			@y = add($0, @b) : f32[T, 4]`},
		{"sub", []int{4, 4}, `@y = sub($0, $1) : f32[T, 4]`},
		{"sub-rows", []int{4}, `@b = weight "b" : f32[4]
			@y = sub($0, @b) : f32[T, 4]`},
		{"mul", []int{4, 4}, `@y = mul($0, $1) : f32[T, 4]`},
		{"mul-self", []int{4}, `@y = mul($0, $0) : f32[T, 4]`},
		{"mul-matrix", []int{6}, `@b = weight "b" : f32[2, 3]
			@x = reshape($0) shape=[T,2,3] : f32[T, 2, 3]
			@y = mul(@x, @b) : f32[T, 2, 3]`},
		{"div", []int{4, 4}, `@e = exp($1) : f32[T, 4]
			@y = div($0, @e) : f32[T, 4]`},
		{"div-rows", []int{4}, `@b = weight "b" : f32[4]
			@e = exp(@b) : f32[4]
			@y = div($0, @e) : f32[T, 4]`},
		{"scale", []int{3}, `@y = scale($0) factor=-1.7 : f32[T, 3]`},
		{"soft_cap", []int{3}, `@y = soft_cap($0) cap=1.5 : f32[T, 3]`},
		{"softmax", []int{5}, `@y = softmax($0) : f32[T, 5]`},
		{"silu", []int{3}, `@y = silu($0) : f32[T, 3]`},
		{"gelu", []int{3}, `@y = gelu($0) : f32[T, 3]`},
		{"gelu_erf", []int{3}, `@y = gelu_erf($0) : f32[T, 3]`},
		{"relu", []int{3}, `@y = relu($0) : f32[T, 3]`},
		{"tanh", []int{3}, `@y = tanh($0) : f32[T, 3]`},
		{"sigmoid", []int{3}, `@y = sigmoid($0) : f32[T, 3]`},
		{"exp", []int{3}, `@y = exp($0) : f32[T, 3]`},
		{"slice", []int{5}, `@y = slice($0) axis=1 start=1 len=3 : f32[T, 3]`},
		{"slices-tiled", []int{5}, `@a = slice($0) axis=1 start=3 len=2 : f32[T, 2]
			@b = slice($0) axis=1 start=0 len=3 : f32[T, 3]
			@y = concat(@a, @b, @a) axis=1 : f32[T, 7]`},
		{"slices-overlapping", []int{5}, `@a = slice($0) axis=1 start=1 len=3 : f32[T, 3]
			@b = slice($0) axis=1 start=0 len=3 : f32[T, 3]
			@c = mul(@a, @b) : f32[T, 3]
			@y = concat(@c, $0) axis=1 : f32[T, 8]`},
		{"transpose", []int{6}, `@x = reshape($0) shape=[T,2,3] : f32[T, 2, 3]
			@z = transpose(@x) perm=[2,0,1] : f32[3, T, 2]
			@y = silu(@z) : f32[3, T, 2]`},
		{"gather_rows", []int{3}, `@r = input "rows" : i32[R]
			@y = gather_rows($0, @r) : f32[R, 3]`},
		{"cross_entropy", []int{7}, `@r = input "rows" : i32[R]
			@l = input "labels" : i32[R]
			@x = gather_rows($0, @r) : f32[R, 7]
			@y = cross_entropy(@x, @l) : f32[R]`},
		{"cross_entropy-soft", []int{7}, `@r = input "rows" : i32[R]
			@l = input "labels" : i32[R]
			@t = input "targets" : i32[R, 2]
			@p = input "probs" : f32[R, 2]
			@x = gather_rows($0, @r) : f32[R, 7]
			@y = cross_entropy(@x, @l, @t, @p) temperature=2.5 mix=0.3 : f32[R]`},
		{"cross_entropy-teacher-alone", []int{7}, `@r = input "rows" : i32[R]
			@l = input "labels" : i32[R]
			@t = input "targets" : i32[R, 2]
			@p = input "probs" : f32[R, 2]
			@x = gather_rows($0, @r) : f32[R, 7]
			@y = cross_entropy(@x, @l, @t, @p) temperature=1 : f32[R]`},
		{"head", []int{5}, head + `@w = weight "w" : f32[7, 5]
			@z = linear(@x, @w) : f32[R, 7]
			@y = cross_entropy(@z, @l) : f32[R]`},
		{"head-frozen", []int{5}, head + `@w = weight "const" : f32[7, 5]
			@z = linear(@x, @w) : f32[R, 7]
			@c = soft_cap(@z) cap=1.5 : f32[R, 7]
			@y = cross_entropy(@c, @l) : f32[R]`},
		{"head-bias", []int{5}, head + `@w = weight "w" : f32[7, 5]
			@z = linear(@x, @w) : f32[R, 7]
			@b = weight "b" : f32[7]
			@s = add(@z, @b) : f32[R, 7]
			@c = soft_cap(@s) cap=1.5 : f32[R, 7]
			@y = cross_entropy(@c, @l, @t, @p) temperature=2 mix=0.5 : f32[R]`},
		{"head-adapter", []int{5}, head + `@w = weight "const" : f32[7, 5]
			@z = linear(@x, @w) : f32[R, 7]
			@a = weight "a" : f32[2, 5]
			@b = weight "b" : f32[7, 2]
			@xa = linear(@x, @a) : f32[R, 2]
			@d = linear(@xa, @b) : f32[R, 7]
			@e = scale(@d) factor=0.7 : f32[R, 7]
			@s = add(@z, @e) : f32[R, 7]
			@y = cross_entropy(@s, @l, @t, @p) temperature=2 mix=0.5 : f32[R]`},
		{"head-merged", []int{5}, head + `@w = weight "w" : f32[7, 5]
			@a = weight "a" : f32[2, 5]
			@b = weight "b" : f32[7, 2]
			@d = matmul(@b, @a) : f32[7, 5]
			@m = add(@w, @d) : f32[7, 5]
			@z = linear(@x, @m) : f32[R, 7]
			@c = soft_cap(@z) cap=1.5 : f32[R, 7]
			@y = cross_entropy(@c, @l, @t, @p) temperature=0.5 mix=0.5 : f32[R]`},
		{"head-tied", []int{5}, `@r = input "rows" : i32[R]
			@l = input "labels" : i32[R]
			@x = gather_rows($0, @r) : f32[R, 5]
			@z = linear(@x, @t0) : f32[R, 9]
			@y = cross_entropy(@z, @l) : f32[R]`},
		{"readout", []int{3}, `@z = silu($0) : f32[T, 3]
			@y = readout(@z) : f32[T, 3]`},
		{"dropout", []int{8}, `@k = input "key" : i32[2]
			@z = dropout($0, @k) rate=0.4 site=2 : f32[T, 8]
			@y = silu(@z) : f32[T, 8]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkGradients(t, graphOf(t, c.sizes, c.lines))
		})
	}
}
