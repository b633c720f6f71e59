package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ledge-run/ledge/kernels/cuda"
)

// atOnce is how many assemblers run beside each other.
const atOnce = 2

// instructionBytes is the size of an instruction, of all GPUs from sm_70 on.
const instructionBytes = 16

// program is a unit of kernels/cuda, assembled.
type program struct {
	unit   cuda.Unit
	target cuda.Target
	made   []made // for each of gpusOf the target; one that was passed over has no gpu
}

// made is what an assembler says of a program for a GPU.
type made struct {
	gpu          gpu
	registers    int // of a thread
	shared       int // bytes of a block, known when compiled
	spills       int // bytes of a thread that are stored and loaded
	stack        int // bytes of a thread in local memory
	instructions int
}

// newest is the target whose code a GPU gets: as cuda.Find has it.
func newest(g gpu) cuda.Target {
	var best cuda.Target
	for _, t := range cuda.Targets {
		if t.From <= g.capability && t.From > best.From {
			best = t
		}
	}
	return best
}

// gpusOf are those that a target's code is assembled for: those that get it, and of
// newer ones, which must take it, too, Jetsons and H100.
func gpusOf(t cuda.Target) []gpu {
	var out []gpu
	for _, g := range gpus {
		if newest(g) == t || g.capability >= t.From && slices.Contains([]int{87, 90, 110}, g.capability) {
			out = append(out, g)
		}
	}
	return out
}

// checkTools reports an assembler that is missing or of another version.
func checkTools(folder string) error {
	for _, t := range []tool{tool12, tool13} {
		path := filepath.Join(folder, t.folder, "ptxas")
		text, err := exec.Command(path, "--version").Output()
		if err != nil {
			return fmt.Errorf("%s: %w (build/ptxas.sh fetches it)", path, err)
		}
		if !strings.Contains(string(text), t.version+"\n") {
			return fmt.Errorf("%s is not %s (build/ptxas.sh fetches that)", path, t.version)
		}
	}
	return nil
}

// assembleAll assembles every unit's code for its targets for the GPUs that the page has columns for,
// or for all.
func assembleAll(tools string, every bool) ([]program, error) {
	dir, err := os.MkdirTemp("", "ptxas")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var programs []program
	for _, t := range cuda.Targets {
		for _, u := range cuda.Units() {
			if !u.For(t) {
				continue
			}
			for capability, path := range texts(dir, u, t) {
				text, err := u.PTXFor(t, capability)
				if err != nil {
					return nil, err
				}
				if err := os.WriteFile(path, text, 0o600); err != nil {
					return nil, err
				}
			}
			programs = append(programs, program{u, t, make([]made, len(gpusOf(t)))})
		}
	}
	var (
		group sync.WaitGroup
		lock  sync.Mutex
		errs  []error
		slots = make(chan struct{}, atOnce)
	)
	for _, p := range programs {
		for i, g := range gpusOf(p.target) {
			if !every && !hasColumn(g, p.target) {
				continue
			}
			slots <- struct{}{}
			group.Go(func() {
				defer func() { <-slots }()
				m, err := assemble(tools, dir, p, g)
				p.made[i] = m
				if err != nil {
					lock.Lock()
					defer lock.Unlock()
					errs = append(errs, fmt.Errorf("%s for sm_%d: %w", name(p.unit, p.target), g.capability, err))
				}
			})
		}
	}
	group.Wait()
	return programs, errors.Join(errs...)
}

// sharedOn is the most bytes of shared memory that a block has on a GPU. False: the
// program is not launched there, for it wants more than a block may have.
func (p program) sharedOn(m made) (int, bool) {
	dynamic, launched := p.unit.Dynamic(p.target, m.gpu.most*kib-m.shared)
	return m.shared + dynamic, launched
}

// texts are the files of a program's PTX: that of its target's GPUs, and that of those
// on which kernels overlap.
func texts(dir string, u cuda.Unit, t cuda.Target) map[int]string {
	return map[int]string{t.From: textFor(dir, u, t, t.From), cuda.OverlapFrom: textFor(dir, u, t, cuda.OverlapFrom)}
}

func textFor(dir string, u cuda.Unit, t cuda.Target, capability int) string {
	if capability >= cuda.OverlapFrom {
		return filepath.Join(dir, name(u, t)+".overlap.ptx")
	}
	return filepath.Join(dir, name(u, t)+".ptx")
}

func name(u cuda.Unit, t cuda.Target) string { return u.Entry + "." + t.Arch }

// assemble assembles the PTX of a program, which is in a folder, for a GPU.
func assemble(tools, dir string, p program, g gpu) (made, error) {
	from := textFor(dir, p.unit, p.target, g.capability)
	to := fmt.Sprintf("%s.sm_%d.cubin", from, g.capability)
	defer os.Remove(to)
	cmd := exec.Command(filepath.Join(tools, g.tool.folder, "ptxas"), "-v", fmt.Sprintf("-arch=sm_%d", g.capability), from, "-o", to)
	text, err := cmd.CombinedOutput()
	if err != nil {
		return made{}, fmt.Errorf("%w\n%s", err, text)
	}
	m, err := parse(string(text), p.unit.Entry)
	if err != nil {
		return made{}, err
	}
	m.gpu = g
	if m.instructions, err = instructions(to, p.unit.Entry); err != nil {
		return made{}, err
	}
	return m, nil
}

// versionAt is where an ELF file has its version.
const versionAt = 20

var (
	entryLine  = regexp.MustCompile(`Compiling entry function '(\w+)'`)
	spillLine  = regexp.MustCompile(`(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads`)
	usedLine   = regexp.MustCompile(`Used (\d+) registers`)
	sharedPart = regexp.MustCompile(`(\d+) bytes smem`)
)

// parse reads what an assembler says of a PTX with one entry. One that does not say
// is no proof.
func parse(text, entry string) (made, error) {
	entries := entryLine.FindAllStringSubmatch(text, -1)
	spills, used := spillLine.FindStringSubmatch(text), usedLine.FindStringSubmatch(text)
	if len(entries) != 1 || entries[0][1] != entry || spills == nil || used == nil {
		return made{}, fmt.Errorf("the assembler does not say what became of %s:\n%s", entry, text)
	}
	number := func(digits string) int {
		n, _ := strconv.Atoi(digits) // the pattern has digits alone
		return n
	}
	m := made{registers: number(used[1]), stack: number(spills[1]), spills: number(spills[2]) + number(spills[3])}
	if s := sharedPart.FindStringSubmatch(text); s != nil {
		m.shared = number(s[1])
	}
	return m, nil
}

// instructions counts those of a kernel in what was assembled.
func instructions(path, entry string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	if len(text) > versionAt {
		text[versionAt] = byte(elf.EV_CURRENT) // NVIDIA's is a number of its own
	}
	f, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	s := f.Section(".text." + entry)
	if s == nil {
		return 0, fmt.Errorf("no code of %s was assembled", entry)
	}
	return int(s.Size) / instructionBytes, nil
}

// faults are what must not be: spills, and blocks that do not fit a GPU.
func faults(programs []program) []error {
	var errs []error
	for _, p := range programs {
		for _, m := range p.made {
			if m.gpu.capability == 0 {
				continue
			}
			who := fmt.Sprintf("%s for sm_%d", name(p.unit, p.target), m.gpu.capability)
			if !p.unit.MaySpill && m.spills != 0 {
				errs = append(errs, fmt.Errorf("%s: registers spill: %d bytes", who, m.spills))
			}
			if !p.unit.MaySpill && m.stack != 0 {
				errs = append(errs, fmt.Errorf("%s: a thread has %d bytes of local memory", who, m.stack))
			}
			shared, launched := p.sharedOn(m)
			if !launched {
				continue
			}
			if shared > m.gpu.most*kib {
				errs = append(errs, fmt.Errorf("%s: %d bytes of shared memory: a block may have %d KiB", who, shared, m.gpu.most))
			} else if m.gpu.resident(m.registers, shared, p.unit.Threads) == 0 {
				errs = append(errs, fmt.Errorf("%s: %d threads of %d registers and %d bytes of shared memory do not fit a multiprocessor",
					who, p.unit.Threads, m.registers, shared))
			}
		}
	}
	return errs
}
