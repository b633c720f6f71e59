package main

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestWords has a disassembler read every instruction that is written as a word:
// it must be what its comment says.
func TestWords(t *testing.T) {
	objdump := ""
	for _, name := range []string{"aarch64-linux-gnu-objdump", "objdump"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if info, err := exec.Command(path, "-i").Output(); err == nil && strings.Contains(string(info), "aarch64") {
			objdump = path
			break
		}
	}
	if objdump == "" {
		t.Skip("no objdump that knows arm64 (Debian package binutils-aarch64-linux-gnu)")
	}
	files := map[string][]byte{}
	if err := generateArm(files); err != nil {
		t.Fatal(err)
	}
	var code []byte
	var want []string
	seen := map[string]bool{}
	for name, text := range files {
		if filepath.Ext(name) != ".s" {
			continue
		}
		for _, line := range strings.Split(string(text), "\n") {
			word, is, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "WORD $"), " // ")
			if !ok || seen[line] || !strings.Contains(line, "WORD $") {
				continue
			}
			seen[line] = true
			n, err := strconv.ParseUint(word, 0, 32)
			if err != nil {
				t.Fatalf("%s: %q: %v", name, line, err)
			}
			code, want = binary.LittleEndian.AppendUint32(code, uint32(n)), append(want, is)
		}
	}
	bin := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(bin, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "aarch64", "--no-show-raw-insn", bin).Output()
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for _, line := range strings.Split(string(out), "\n") {
		_, is, ok := strings.Cut(line, ":\t")
		if !ok {
			continue
		}
		is, _, _ = strings.Cut(is, "\t//")
		is, _, _ = strings.Cut(is, " //")
		is = strings.Join(strings.Fields(is), " ")
		if i >= len(want) {
			t.Fatalf("more instructions than the %d words: %s", len(want), line)
		}
		if is != want[i] {
			t.Errorf("word %#08x is %q, its comment says %q", binary.LittleEndian.Uint32(code[4*i:]), is, want[i])
		}
		i++
	}
	if i != len(want) || i < 500 {
		t.Errorf("%d instructions of %d words (and at least 500)", i, len(want))
	}
}
