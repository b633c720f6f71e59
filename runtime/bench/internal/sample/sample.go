// Package sample has records as a suite would leave them, for tests of what is
// made of records. The figures are invented.
package sample

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/record"
)

// Records are three rounds of 16 cases: two models, one and two threads, prompts
// and generation at four depths, with energy; beside two peers, of which the
// second fails once.
func Records() []record.Record {
	rng := rand.New(rand.NewPCG(7, 7))
	near := func(v float64) []float64 {
		return []float64{v * (0.97 + 0.06*rng.Float64()), v, v * (0.97 + 0.06*rng.Float64())}
	}
	models := []record.Model{
		{Name: "SmolLM2-135M Q4_0", File: "smollm2-q4_0.gguf", SHA256: "aa", Bytes: 91e6, TokenBytes: 90e6, CacheBytes: 46080, TokenOps: 269e6, PromptOps: 212e6, Params: 134e6, Type: "llama 135M Q4_0"},
		{Name: "客厅模型 <1B> & more", File: "b.gguf", SHA256: "bb", Bytes: 700e6, TokenBytes: 690e6, CacheBytes: 65536, TokenOps: 2.4e9, PromptOps: 2.2e9, Params: 1.2e9, Type: "llama 1B Q4_0"},
	}
	var all []record.Record
	for round := 1; round <= 3; round++ {
		for m, model := range models {
			for threads := 1; threads <= 2; threads++ {
				for _, depth := range []int{0, 1024, 2048, 4096} {
					t := float64(threads)
					decode := 20e9 * (0.5 + 0.5*t) / float64(model.TokenBytes+model.CacheBytes*int64(depth))
					prefill := 5e11 * t / float64(model.PromptOps)
					r := record.Record{Version: record.Version, Suite: record.Suite{Name: "sample", SHA256: "cc"}, Case: fmt.Sprintf("m%d/t%d/d%d", m, threads, depth), Round: round,
						Time: time.Date(2026, 3, 4, 5, round, threads, 0, time.UTC), Seconds: 12,
						Settings: record.Settings{Threads: threads, Prompt: 512, Gen: 64, Depth: depth, Repeat: 3}, Model: model,
						Machine: record.Machine{OS: "linux", Arch: "amd64", CPU: "Example 9000", Cores: 2, Level: "avx512", Memory: 16e9, Virtual: "kvm",
							Devices: []record.Device{{Name: "cpu", Description: "Example 9000, 2 threads", Numerics: "cpu avx512 1"}}, Sensors: []string{"RAPL package-0 (package)"}, Absent: []string{"INA3221: no such chip"}},
						Before:   record.Condition{Clocks: map[string]float64{"cpu0": 3000}, Temperatures: map[string]float64{"cpu": 55}, Load: 0.1},
						After:    record.Condition{Clocks: map[string]float64{"cpu0": 2900}, Temperatures: map[string]float64{"cpu": 61}, Load: 1.9},
						Ceilings: &record.Ceilings{ReadGBs: 25 * (0.6 + 0.4*t), DotGOPS: 1000 * t}}
					for e, engine := range []record.Engine{{Name: record.Ledge, Version: "0.1", SHA256: "dd", Args: []string{"ledge-bench", "worker"}}, {Name: "llama.cpp", Version: "b1", Args: []string{"llama-bench", "-m", "M"}}, {Name: "openvino", Version: "2026.4"}} {
						slow := []float64{1, 1.8, 1.2}[e]
						run := record.Run{Engine: engine, Seconds: 4, Figures: map[string]record.Figure{
							record.Decode:     {Unit: "tokens/s", Samples: near(decode / slow)},
							record.Prefill:    {Unit: "tokens/s", Samples: near(prefill / slow)},
							record.PeakMemory: {Unit: "MB", Samples: []float64{float64(model.Bytes) / 1e6 * slow}, Lower: true},
							record.Watts:      {Unit: "W", Samples: []float64{8 * t * (1 + 0.1*float64(e))}, Lower: true},
							record.Joules:     {Unit: "J", Samples: []float64{8 * t / decode * slow}, Lower: true},
						}}
						if e == 0 {
							run.Output = &record.Output{Prompt: "hello", Tokens: 4, SHA256: fmt.Sprintf("out%d", m), Text: "客厅 </script><b>"}
						}
						if e == 2 && round == 2 {
							run.Figures, run.Failure = nil, "exit status 139: <segfault>"
						}
						r.Runs = append(r.Runs, run)
					}
					if round == 3 && depth == 4096 {
						r.Disturbed = []string{"other processes used 0.40 processors"}
					}
					all = append(all, r)
				}
			}
		}
	}
	return all
}
