package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ledgeJSON runs the program and reads its JSON.
func (s *settings) ledgeJSON(v any, args ...string) error {
	out, err := s.run(nil, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, v); err != nil {
		return fmt.Errorf("ledge %s: its output is no JSON: %w", args[0], err)
	}
	return nil
}

func (s *settings) run(env []string, args ...string) ([]byte, error) {
	fmt.Fprintln(os.Stderr, "ledge", strings.Join(args, " "))
	c := exec.Command(s.ledge, args...)
	c.Env = append(os.Environ(), env...)
	var out, complaints bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaints
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("ledge %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaints.String()))
	}
	return out.Bytes(), nil
}

func (s *settings) model(name string) string { return filepath.Join(s.models, name) }

func intro(s *settings, p *page) error {
	out, err := s.run(nil, "devices")
	if err != nil {
		return err
	}
	p.line("# The GPU backends, measured")
	p.line("")
	p.line("Made by `go run ./build/gpureport`. The devices here are software drivers, which compute on the processor: they")
	p.line("show that results are right and what a token costs the device; their speed says nothing of a GPU's.")
	p.line("")
	p.line("```\n%s```", out)
	return nil
}

func (s *settings) perplexity(device, model string) (float64, error) {
	var r struct{ PPL float64 }
	err := s.ledgeJSON(&r, "perplexity", "-q", "--json", "--device", device, "-m", s.model(model), "-f", s.text, "-c", "512", "--chunks", strconv.Itoa(s.chunks))
	return r.PPL, err
}

func perplexities(s *settings, p *page) error {
	p.line("\n## Perplexity\n\n%d chunks of 512 tokens of the GPL, version 3; the difference is to the CPU backend, which rounds activations to int8.\n", s.chunks)
	p.head("model", "device", "perplexity", "difference")
	for _, m := range models {
		want, err := s.perplexity("cpu", m)
		if err != nil {
			return err
		}
		p.row(m, "cpu", fmt.Sprintf("%.4f", want), "")
		for _, d := range s.devices {
			got, err := s.perplexity(d, m)
			if err != nil {
				return err
			}
			p.row(m, d, fmt.Sprintf("%.4f", got), fmt.Sprintf("%+.2f %%", 100*(got/want-1)))
			if math.IsNaN(got) || math.Abs(got/want-1) > 0.01 {
				return fmt.Errorf("%s on %s: perplexity %.4f, %.4f on the CPU: more than 1 %% apart", m, d, got, want)
			}
		}
	}
	return nil
}

type answer struct {
	Text   string
	Tokens []int
	Device string
}

func (s *settings) greedy(device, model, prompt string) (a answer, err error) {
	err = s.ledgeJSON(&a, "run", "-q", "--json", "--raw", "--temp", "0", "--ignore-eos", "-n", strconv.Itoa(s.tokens), "--device", device, "-m", s.model(model), prompt)
	if err == nil && a.Device != device {
		err = fmt.Errorf("%s ran on %s", device, a.Device)
	}
	return a, err
}

// texts compares greedy continuations. Where two part, the logits there say why:
// the two candidates lie nearer to each other than the devices' logits do.
func texts(s *settings, p *page) error {
	p.line("\n## Greedy text\n\n%d tokens, compared with the CPU's. Where they part: how far the CPU has its token before the device's, how far the", s.tokens)
	p.line("device has its own before the CPU's, and how far all logits there lie apart: the two gaps together are less than twice the largest difference.\n")
	p.head("model", "prompt", "device", "equal tokens", "at the first difference")
	for _, m := range models {
		for _, prompt := range prompts {
			want, err := s.greedy("cpu", m, prompt)
			if err != nil {
				return err
			}
			for _, d := range s.devices {
				got, err := s.greedy(d, m, prompt)
				if err != nil {
					return err
				}
				same := 0
				for same < len(want.Tokens) && same < len(got.Tokens) && want.Tokens[same] == got.Tokens[same] {
					same++
				}
				why := ""
				if same < len(want.Tokens) {
					if why, err = s.explain(m, prompt, d, want.Tokens, got.Tokens, same); err != nil {
						return err
					}
				}
				p.row(m, "`"+prompt+"`", d, fmt.Sprintf("%d of %d", same, len(want.Tokens)), why)
			}
		}
	}
	return nil
}

func (s *settings) explain(model, prompt, device string, want, got []int, same int) (string, error) {
	var t struct{ Tokens []int }
	if err := s.ledgeJSON(&t, "tokenize", "--json", "-m", s.model(model), prompt); err != nil {
		return "", err
	}
	ids := append(t.Tokens, want[:same]...)
	dir, err := os.MkdirTemp("", "gpureport")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	list, _ := json.Marshal(ids)
	tokens := filepath.Join(dir, "tokens.json")
	if err := os.WriteFile(tokens, list, 0o600); err != nil {
		return "", err
	}
	row := func(d string) ([]float32, error) {
		path := filepath.Join(dir, d+".npy")
		if _, err := s.run(nil, "logits", "-q", "--device", d, "-m", s.model(model), "-o", path, "--tokens-file", tokens); err != nil {
			return nil, err
		}
		return lastRow(path, len(ids))
	}
	cpu, err := row("cpu")
	if err != nil {
		return "", err
	}
	gpu, err := row(device)
	if err != nil {
		return "", err
	}
	a, b := want[same], got[same]
	here, there := cpu[a]-cpu[b], gpu[b]-gpu[a]
	if here < 0 || there < 0 {
		return "", fmt.Errorf("%s, %s: the tokens part at %d, which the logits do not say", model, device, same)
	}
	sum, worst := 0.0, 0.0
	for i := range cpu {
		d := math.Abs(float64(cpu[i] - gpu[i]))
		sum += d * d
		worst = max(worst, d)
	}
	if float64(here+there) > 2*worst {
		return "", fmt.Errorf("%s, %s: the gap at token %d is not explained", model, device, same)
	}
	return fmt.Sprintf("CPU by %.3f, device by %.3f; all logits differ by %.3f (root mean square), at most %.3f", here, there, math.Sqrt(sum/float64(len(cpu))), worst), nil
}

// lastRow reads the last row of a NumPy file of float32.
func lastRow(path string, rows int) ([]float32, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(data) < 10 || !bytes.HasPrefix(data, []byte("\x93NUMPY")) {
		return nil, fmt.Errorf("%s is no NumPy file", path)
	}
	data = data[10+int(data[8])+int(data[9])<<8:]
	data = data[len(data)-len(data)/rows:]
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(uint32(data[4*i]) | uint32(data[4*i+1])<<8 | uint32(data[4*i+2])<<16 | uint32(data[4*i+3])<<24)
	}
	return out, nil
}

// timed is what is read of a result of ledge bench.
type timed struct {
	Speed     float64 `json:"avg_ts"`
	Generated int     `json:"n_gen"`
}

// costs shows what ledge bench --counters says.
func costs(s *settings, p *page) error {
	p.line("\n## What a generated token costs the device\n\nCounted by the backend itself (`ledge bench --counters`).\n\n```")
	for _, m := range models {
		for _, d := range s.devices {
			out, err := s.run(nil, "bench", "--device", d, "-m", s.model(m), "-p", "0", "-n", "8", "-r", "1", "-d", "0,300", "--counters")
			if err != nil {
				return err
			}
			p.line("%s", m)
			for line := range strings.Lines(string(out)) {
				if !strings.HasPrefix(line, "|") && strings.TrimSpace(line) != "" {
					p.WriteString(line)
				}
			}
		}
	}
	p.line("```")
	return nil
}

// starts compares a first start, with all caches empty, with the next one.
func starts(s *settings, p *page) error {
	p.line("\n## First and second start\n\n`ledge run -n 1` in seconds, the median of %d: without anything kept (Ledge's caches and the driver's own are empty), and again.\n", s.rounds)
	p.head("model", "device", "first", "second", "ratio")
	for _, m := range models[:1] {
		for _, d := range s.devices {
			var cold, warm []float64
			for range s.rounds {
				dir, err := os.MkdirTemp("", "gpureport")
				if err != nil {
					return err
				}
				defer os.RemoveAll(dir)
				env := []string{"XDG_CACHE_HOME=" + dir, "HOME=" + dir, "LEDGE_GPU_CACHE=", "LEDGE_PACK_CACHE=", "POCL_CACHE_DIR=" + dir + "/pocl", "MESA_SHADER_CACHE_DIR=" + dir + "/mesa"}
				for _, list := range []*[]float64{&cold, &warm} {
					start := time.Now()
					if _, err := s.run(env, "run", "-q", "--raw", "-n", "1", "--device", d, "-m", s.model(m), "Hello"); err != nil {
						return err
					}
					*list = append(*list, time.Since(start).Seconds())
				}
			}
			c, w := median(cold), median(warm)
			p.row(m, d, fmt.Sprintf("%.2f", c), fmt.Sprintf("%.2f", w), fmt.Sprintf("%.2f", w/c))
		}
	}
	return nil
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}

// speeds alternates with the peer, on the first device.
func speeds(s *settings, p *page) error {
	if s.peer == "" {
		return nil
	}
	var ours, theirs [2][]float64
	for range s.rounds {
		var b []timed
		if err := s.ledgeJSON(&b, "bench", "--device", s.devices[0], "-m", s.model(s.peerModel), "-p", "64", "-n", "8", "-r", "1", "--json"); err != nil {
			return err
		}
		for _, r := range b {
			if r.Generated > 0 {
				ours[1] = append(ours[1], r.Speed)
			} else {
				ours[0] = append(ours[0], r.Speed)
			}
		}
		out, err := exec.Command(s.peer, s.model(s.peerModel)).Output()
		if err != nil {
			return fmt.Errorf("%s: %w", s.peer, err)
		}
		var pp, tg float64
		if _, err := fmt.Sscan(string(out), &pp, &tg); err != nil {
			return fmt.Errorf("%s printed %q, want two numbers", s.peer, out)
		}
		theirs[0], theirs[1] = append(theirs[0], pp), append(theirs[1], tg)
	}
	p.line("\n## Beside llama.cpp's Vulkan backend, on the same software driver\n\n%s, tokens a second, medians of %d alternated rounds.\n", s.peerModel, s.rounds)
	p.head("test", "Ledge", "llama.cpp", "ratio")
	for i, name := range []string{"prompt of 64", "8 tokens"} {
		if len(ours[i]) == 0 {
			return fmt.Errorf("ledge bench gave no result for %s", name)
		}
		a, b := median(ours[i]), median(theirs[i])
		p.row(name, fmt.Sprintf("%.2f", a), fmt.Sprintf("%.2f", b), fmt.Sprintf("%.2f", a/b))
	}
	return nil
}
