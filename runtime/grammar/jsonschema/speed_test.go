package jsonschema_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/grammar"
	"github.com/ledge-run/ledge/runtime/grammar/jsonschema"
	"github.com/ledge-run/ledge/runtime/tokenizer"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// speedSchema and speedText are what the benchmark follows: enums, numbers, free and
// bounded strings, lists of objects.
const speedSchema = `{"type":"object","additionalProperties":false,"required":["intent","device","note","steps"],"properties":{
 "intent":{"enum":["on","off","set","query","none"]},"device":{"enum":["light","heater","fan","curtain","tv"]},
 "room":{"type":"string","maxLength":40},"value":{"type":["number","null"],"minimum":-40,"maximum":100},"note":{"type":"string"},
 "steps":{"type":"array","maxItems":8,"items":{"type":"object","properties":{"at":{"type":"string","pattern":"^\\d{2}:\\d{2}$"},"what":{"type":"string","minLength":1,"maxLength":200}},"required":["at","what"]}}}}`

const speedText = `{"intent":"set","device":"heater","room":"the small bedroom upstairs","value":21.5,"note":"The window was open, so it may take \"a while\": 大约二十分钟。","steps":[{"at":"06:30","what":"heat up slowly, and tell me when it is done"},{"at":"08:00","what":"turn it off again"}]}`

func realTokenizer(b testing.TB, file string) *tokenizer.Tokenizer {
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		b.Skip("LEDGE_TEST_MODELS does not name a folder with the real models")
	}
	f, err := gguf.Open(filepath.Join(dir, file))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	c, err := tokenizer.FromMetadata(f.Value)
	if err != nil {
		b.Fatal(err)
	}
	t, err := tokenizer.New(c)
	if err != nil {
		b.Fatal(err)
	}
	return t
}

func vocabularyOf(t *tokenizer.Tokenizer) *grammar.Vocabulary {
	return grammar.NewVocabulary(t.Size(), func(id int32) string { return t.PieceString(id, false) }, t.EOG())
}

var speedModels = map[string]string{"49k": "smollm2-135m-instruct-q4_1.gguf", "262k": "gemma-3-270m-q4_k_m.gguf"}

// BenchmarkMask gives, for a text of some hundred tokens, what a mask costs when
// nothing is known yet (first) and when the same schema was used before (again).
// Compiling and the vocabulary's trie are apart.
func BenchmarkMask(b *testing.B) {
	for name, file := range speedModels {
		t := realTokenizer(b, file)
		v := vocabularyOf(t)
		ids := t.Encode(speedText, tokenizer.EncodeOptions{})
		g, err := jsonschema.Compile([]byte(speedSchema), jsonschema.Options{})
		if err != nil {
			b.Fatal(err)
		}
		mask := make([]uint64, (v.Size()+63)/64)
		follow := func(b *testing.B, m *grammar.Matcher) (longest time.Duration) {
			for _, id := range ids {
				clear(mask)
				start := time.Now()
				if err := m.Mask(mask); err != nil {
					b.Fatal(err)
				}
				longest = max(longest, time.Since(start))
				if err := m.Accept(id); err != nil {
					b.Fatal(err)
				}
			}
			if !m.Complete() {
				b.Fatal("the text is not whole")
			}
			return longest
		}
		report := func(b *testing.B, longest time.Duration) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(ids))/1000, "µs/mask")
			b.ReportMetric(float64(longest.Microseconds()), "µs-longest")
		}
		b.Run(name+"/first", func(b *testing.B) {
			var longest time.Duration
			for b.Loop() {
				longest = max(longest, follow(b, grammar.NewEngine(g, v).Matcher()))
			}
			report(b, longest)
		})
		b.Run(name+"/again", func(b *testing.B) {
			e := grammar.NewEngine(g, v)
			follow(b, e.Matcher())
			var longest time.Duration
			for b.Loop() {
				longest = max(longest, follow(b, e.Matcher()))
			}
			report(b, longest)
		})
		b.Run(name+"/vocabulary", func(b *testing.B) {
			for b.Loop() {
				vocabularyOf(t)
			}
		})
	}
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			if _, err := jsonschema.Compile([]byte(speedSchema), jsonschema.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
