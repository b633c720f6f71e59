package cuda

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/ulikunitz/xz"
)

// The code of a family of kernels for a target is one archive, for the texts are
// alike, the more so with names as relate writes them: product.sm_80.tar.xz has product_tensor_q4_0_1.sm_80 and the others. An index says
// what is where, so that most starts, which find compiled programs, unpack nothing.

// IndexName is the file that lists the code: a line each of name, bytes and SHA-256.
const IndexName = "index.txt"

// Code is PTX by its name, "fill.sm_80".
type Code struct {
	Name string
	PTX  []byte
}

// Archives gives the files that have some code, by their names, and the index.
// Compress makes a file of xz of bytes.
func Archives(all []Code, compress func([]byte) ([]byte, error)) (map[string][]byte, error) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Code) int { return strings.Compare(a.Name, b.Name) })
	families := map[string][]Code{}
	var index bytes.Buffer
	for _, c := range all {
		f := archiveOf(c.Name)
		families[f] = append(families[f], c)
		fmt.Fprintf(&index, "%s %d %x\n", c.Name, len(c.PTX), sha256.Sum256(c.PTX))
	}
	files := map[string][]byte{IndexName: index.Bytes()}
	for name, members := range families {
		data, err := pack(members, compress)
		if err != nil {
			return nil, fmt.Errorf("cuda: %s: %w", name, err)
		}
		files[name] = data
	}
	return files, nil
}

// archiveOf is the file that has code of a name.
func archiveOf(name string) string {
	entry, arch, _ := strings.Cut(name, ".")
	family, _, _ := strings.Cut(entry, "_")
	return family + "." + arch + ".tar.xz"
}

// pack makes an archive; compress is given it.
func pack(all []Code, compress func([]byte) ([]byte, error)) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, c := range all {
		text, err := relate(c.PTX)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		if err := w.WriteHeader(&tar.Header{Name: c.Name, Size: int64(len(text)), Mode: 0o644, Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
		if _, err := w.Write(text); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return compress(b.Bytes())
}

// Unpack gives what an archive has.
func Unpack(data []byte) ([]Code, error) {
	z, err := xz.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var all []Code
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(r)
		if err == nil {
			text, err = restore(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
		all = append(all, Code{h.Name, text})
	}
}

// Sum names code: its SHA-256.
type Sum [sha256.Size]byte

// listed is a line of the index.
type listed struct {
	size int
	sum  Sum
}

// parseIndex reads an index.
func parseIndex(text string) (map[string]listed, error) {
	all := map[string]listed{}
	for line := range strings.Lines(text) {
		var name, sum string
		var l listed
		if _, err := fmt.Sscanf(line, "%s %d %s\n", &name, &l.size, &sum); err != nil {
			return nil, fmt.Errorf("cuda: %s: %q: %w", IndexName, line, err)
		}
		if b, err := hex.DecodeString(sum); err != nil || copy(l.sum[:], b) != len(b) || len(b) != len(l.sum) {
			return nil, fmt.Errorf("cuda: %s: %q has no SHA-256", IndexName, line)
		}
		all[name] = l
	}
	return all, nil
}

// opened are the archives that were asked for: a program asks for most of an archive
// or for none of it.
var opened sync.Map // of names: func() (map[string][]byte, error)

// unpacked gives the code of an archive of this build.
func unpacked(name string) (map[string][]byte, error) {
	f, _ := opened.LoadOrStore(name, sync.OnceValues(func() (map[string][]byte, error) {
		data, err := files.ReadFile("ptx/" + name)
		if err != nil {
			return nil, err
		}
		all, err := Unpack(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		texts := map[string][]byte{}
		for _, c := range all {
			texts[c.Name] = c.PTX
		}
		return texts, nil
	}))
	return f.(func() (map[string][]byte, error))()
}

// Forget lets go of what was unpacked: some 20 MB, of no use once programs are made.
func Forget() { opened.Clear() }
