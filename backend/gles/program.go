//go:build gles && cgo && !static && linux

package gles

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"

	gl "github.com/go-gl/gl/v3.1/gles2"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/gles"
	"github.com/ledge-run/ledge/kernels/shader"
)

// program is a linked compute program.
type program struct {
	kernel     string
	name       uint32
	parameters int32 // location of the uniform array, -1 if the kernel reads none
}

func (p *program) Name() string { return p.kernel }

// source is a kernel's whole text. The version must be its first line, and the
// constants must come before what uses them.
func source(kernel string, constants []uint32) (string, error) {
	names, err := shader.Constants(kernel)
	if err != nil {
		return "", fmt.Errorf("gles: %w", err)
	}
	if len(names) != len(constants) {
		return "", fmt.Errorf("gles: kernel %s has %d constants, %d were given", kernel, len(names), len(constants))
	}
	body, err := shader.Source(kernel)
	if err != nil {
		return "", fmt.Errorf("gles: %w", err)
	}
	version, prelude, _ := strings.Cut(gles.Prelude, "\n")
	var b strings.Builder
	b.WriteString(version + "\n")
	for i, n := range names {
		fmt.Fprintf(&b, "#define %s %du\n", n, constants[i])
	}
	b.WriteString(prelude)
	b.WriteString(body)
	return b.String(), nil
}

func (a *api) Program(kernel string, constants []uint32) (accel.Program, error) {
	key := fmt.Sprint(kernel, constants)
	if p := a.programs[key]; p != nil {
		return p, nil
	}
	if len(constants) > 0 && int(constants[0]) > a.limits.Invocations {
		return nil, fmt.Errorf("gles: kernel %s with workgroups of %d, the device has %d", kernel, constants[0], a.limits.Invocations)
	}
	text, err := source(kernel, constants)
	if err != nil {
		return nil, err
	}
	cached := fmt.Sprintf("gles %s|%s|%s|%x", a.about.vendor, a.about.renderer, a.about.version, sha256.Sum256([]byte(text)))
	p := &program{kernel: kernel}
	var binary []byte
	if a.binaries {
		if err := a.call("loading kernel "+kernel, func() error { a.onLoad(p, a.blobs.Get(cached)); return nil }); err != nil {
			return nil, err
		}
	}
	if p.name == 0 {
		if err := a.call("compiling kernel "+kernel, func() (err error) { binary, err = a.onBuild(p, text); return err }); err != nil {
			return nil, err
		}
		if binary != nil {
			_ = a.blobs.Put(cached, binary) // it is compiled again next time
		}
	}
	a.programs[key] = p
	return p, nil
}

// onLoad makes the program of a binary that onBuild gave in some process before:
// the format's number and the driver's bytes. A driver may refuse it.
func (a *api) onLoad(p *program, blob []byte) {
	if len(blob) <= 4 {
		return
	}
	name := gl.CreateProgram()
	if name == 0 {
		return
	}
	gl.ProgramBinary(name, binary.LittleEndian.Uint32(blob), unsafe.Pointer(&blob[4]), int32(len(blob)-4))
	linked := a.onUse(p, name)
	if err := a.onError("loading kernel " + p.kernel); !linked || err != nil {
		gl.DeleteProgram(name)
		p.name = 0
	}
}

// onUse takes a linked program; false if it is not linked.
func (a *api) onUse(p *program, name uint32) bool {
	var linked int32
	gl.GetProgramiv(name, gl.LINK_STATUS, &linked)
	if linked != gl.TRUE {
		return false
	}
	p.name = name
	p.parameters = gl.GetUniformLocation(name, gl.Str("parameters\x00"))
	return true
}

// onBuild compiles and links, and gives the program's binary if the driver has
// one.
func (a *api) onBuild(p *program, text string) ([]byte, error) {
	doing := "compiling kernel " + p.kernel
	s := gl.CreateShader(gl.COMPUTE_SHADER)
	name := gl.CreateProgram()
	defer gl.DeleteShader(s)
	if s == 0 || name == 0 {
		return nil, orElse(a.onError(doing), "gles: %s: the driver makes no program", doing)
	}
	err := a.onCompile(p, s, name, text)
	if err == nil {
		err = a.onError(doing)
	}
	if err != nil {
		gl.DeleteProgram(name)
		p.name = 0
		return nil, err
	}
	return a.onBinary(p), nil
}

func (a *api) onCompile(p *program, s, name uint32, text string) error {
	c, free := gl.Strs(text + "\x00")
	gl.ShaderSource(s, 1, c, nil)
	free()
	gl.CompileShader(s)
	var ok int32
	if gl.GetShaderiv(s, gl.COMPILE_STATUS, &ok); ok != gl.TRUE {
		return orElse(a.onError("compiling kernel "+p.kernel), "gles: kernel %s does not compile: %s", p.kernel, onLog(s, gl.GetShaderInfoLog))
	}
	if a.binaries {
		gl.ProgramParameteri(name, gl.PROGRAM_BINARY_RETRIEVABLE_HINT, gl.TRUE)
	}
	gl.AttachShader(name, s)
	gl.LinkProgram(name)
	gl.DetachShader(name, s)
	if !a.onUse(p, name) {
		return orElse(a.onError("linking kernel "+p.kernel), "gles: kernel %s does not link: %s", p.kernel, onLog(name, gl.GetProgramInfoLog))
	}
	return nil
}

// maxBinary bounds a compiled program.
const maxBinary = 32 << 20

// onBinary is the compiled program as onLoad takes it, nil if the driver gives
// none.
func (a *api) onBinary(p *program) []byte {
	if !a.binaries {
		return nil
	}
	var size, got int32
	var format uint32
	gl.GetProgramiv(p.name, gl.PROGRAM_BINARY_LENGTH, &size)
	if size <= 0 || size > maxBinary {
		return nil
	}
	blob := make([]byte, 4+int(size))
	gl.GetProgramBinary(p.name, size, &got, &format, unsafe.Pointer(&blob[4]))
	if a.onError("") != nil || got <= 0 || got > size {
		return nil
	}
	binary.LittleEndian.PutUint32(blob, format)
	return blob[:4+int(got)]
}

// maxLog is what is shown of a compiler's complaints.
const maxLog = 1000

// onLog is a compiler's log in one line.
func onLog(name uint32, get func(uint32, int32, *int32, *uint8)) string {
	b := make([]byte, 8<<10)
	var n int32
	get(name, int32(len(b)), &n, &b[0])
	words := strings.Join(strings.Fields(strings.ToValidUTF8(string(b[:min(max(int(n), 0), len(b))]), "?")), " ")
	if len(words) > maxLog {
		words = words[:maxLog] + "..."
	}
	if words = strings.Trim(words, " \x00"); words == "" {
		return "the driver does not say why"
	}
	return words
}

// orElse is err, or an error of its own if the driver reports none.
func orElse(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return fmt.Errorf(format, args...)
}
