// Package shader holds the kernels that run on GPUs through Vulkan, OpenCL and
// OpenGL ES: each is written once, in a dialect that all three compile, and has a
// Go function that says how it is called. What a dialect word stands for is in
// the preludes of kernels/vulkan, kernels/opencl and kernels/gles.
//
// # The dialect
//
// It is C as OpenCL C 1.2 and GLSL (450, ES 310) have it in common, with these
// words. A kernel is a file NAME.comp:
//
//	CONSTANT(0, WG)              a uint fixed when the kernel is compiled; number 0 is
//	CONSTANT(1, TYPE)            always WG, the invocations of a workgroup
//	SHARED(float, red, WG)       shared memory, at file scope
//	float f(CTX uint i) { ... }  a function that reads buffers or parameters, and in a
//	                             kernel for CUDA constants; called as f(PASS i).
//	                             Without arguments of its own: f(CTX0), f(PASS0).
//	                             Shared memory is seen in KERNEL alone: what uses
//	                             it is a macro
//	KERNEL(NAME) {               the entry
//	  LOCAL(float, red, WG)      the same shared memory again, first
//	  ... }
//
//	B0[i] B1[i] B2[i] B3[i]      the four storage buffers, of uints
//	PARAM(i)                     uint i (0 to 31) given when the call is recorded
//	GROUP_X GROUP_Y GROUP_Z LID  uints: the workgroup, the invocation in it
//	BARRIER                      all invocations of the workgroup
//	HANDED(i)                    B1[i], where B1 is the run: what the host wrote
//	INPUTS                       stands once, outside of any condition: before it a
//	                             kernel has read parameters and HANDED alone, for the
//	                             one before it may still run. Without it a kernel
//	                             begins when that one has ended
//	UF(u) FU(f)                  bits of a uint as float, of a float as uint
//	TOF(x) TOU(x) TOI(x)         conversions to float, uint, int
//	HALF_LO(u) HALF_HI(u)        the float16 in the low and high half of a uint
//	FMA(a, b, c)                 a*b+c, fused where the API can say so
//	SQRT EXP FABS FMAX FMIN UMIN UMAX IMIN IMAX
//	VEC4(a, b, c, d) vec4 uvec4 uvec2 v.x v.y v.z v.w; DOT4(a, b)
//	DOT4I(a, b, c)               int c plus the products of the four int8 in the uints
//	                             a and b: one instruction where there is one
//	UNROLL                       before a for whose count is a constant
//	INCLUDE(NAME)                the text of NAME.part: functions of several kernels
//	NEEDS(FEATURE)               the kernel is for devices with that feature alone, and
//	                             may use the words for it
//
// For subgroups (with the constant SUBGROUP, the invocations of one; all are full):
//
//	SUBGROUP_LANE                uint: the invocation in its subgroup
//	SHUFFLE(x, i)                x of invocation i of the subgroup
//
// For arithmetic in float16 (feature half):
//
//	HALF2                        two float16, with + - * among themselves
//	H2(u) H2U(h)                 those whose bits a uint has, and the reverse
//	H2C(f) TOH2(a, b)            a constant twice; two floats, rounded
//	HFMA(a, b, c)                a*b+c
//	HX(h) HY(h)                  the two as floats
//
// Floats are written 1.0f, unsigned ints 1u. There are no doubles, no 64-bit or
// 16-bit numbers, no pointers, no recursion, no switch, no arrays as arguments,
// and no barrier in divergent flow. A barrier under an if, or in a loop that runs
// once or not at all, is miscompiled by PoCL even if all invocations agree (see
// attention.comp): avoid it. Names of GLSL's and OpenCL's functions are
// used through the words above only.
//
// Common functions are in common.comp, which stands before every kernel.
//
// # Limits
//
// Every kernel must work on a device with no more than the specifications ask:
// 4 storage buffers, 128 invocations, 16 KiB of shared memory, 128 bytes of
// parameters, 65,535 groups in each direction, buffers of 128 MiB.
package shader

import (
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed *.comp *.part
var files embed.FS

// Source is a kernel's text, with the common functions before it, without an
// API's prelude.
func Source(kernel string) (string, error) {
	common, err := files.ReadFile("common.comp")
	if err != nil {
		return "", err
	}
	text, err := files.ReadFile(kernel + ".comp")
	if err != nil {
		return "", fmt.Errorf("shader: no kernel %q", kernel)
	}
	whole := string(common) + string(text)
	for _, m := range include.FindAllStringSubmatch(whole, -1) {
		part, err := files.ReadFile(m[1] + ".part")
		if err != nil {
			return "", fmt.Errorf("shader: kernel %q includes %q, which is not there", kernel, m[1])
		}
		whole = strings.Replace(whole, m[0], string(part), 1)
	}
	return whole, nil
}

var include = regexp.MustCompile(`(?m)^INCLUDE\((\w+)\)$`)

// Kernels lists the names of all kernels.
func Kernels() []string {
	entries, _ := files.ReadDir(".")
	var names []string
	for _, e := range entries {
		if n, ok := strings.CutSuffix(e.Name(), ".comp"); ok && n != "common" {
			names = append(names, n)
		}
	}
	return names
}

// Plain lists the names of the kernels for every device: those without NEEDS.
func Plain() []string {
	return slices.DeleteFunc(Kernels(), func(kernel string) bool {
		text, err := Source(kernel)
		return err == nil && len(Needs(text)) > 0
	})
}

var needs = regexp.MustCompile(`(?m)^NEEDS\((\w+)\)$`)

// Needs lists the features that a kernel's source says it needs.
func Needs(source string) []string {
	var features []string
	for _, m := range needs.FindAllStringSubmatch(source, -1) {
		features = append(features, m[1])
	}
	return features
}

// HasIntDot reports whether a kernel has products of int8, DOT4I.
func HasIntDot(kernel string) bool {
	text, err := Source(kernel)
	return err == nil && strings.Contains(text, "DOT4I(")
}

var constant = regexp.MustCompile(`(?m)^CONSTANT\((\d+), (\w+)\)`)

// Constants lists the names of a kernel's constants by number.
func Constants(kernel string) ([]string, error) {
	text, err := Source(kernel)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range constant.FindAllStringSubmatch(text, -1) {
		if n, _ := strconv.Atoi(m[1]); n != len(names) {
			return nil, fmt.Errorf("shader: kernel %q: constant %s comes as number %d", kernel, m[2], len(names))
		}
		names = append(names, m[2])
	}
	return names, nil
}
