package packcache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend/internal/owned"
)

var ctx = context.Background()

func noPace() {}

// modelFile writes a file that was last changed long enough ago to be recorded.
func modelFile(t *testing.T, path, content string) File {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return opened(t, path)
}

func opened(t *testing.T, path string) File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, min(16, st.Size()))
	if _, err := f.ReadAt(head, 0); err != nil {
		t.Fatal(err)
	}
	return File{Path: path, Info: st, Header: head}
}

// testBlock is a block of random bytes, not a multiple of a chunk.
func testBlock(seed uint64, size int) (*Block, []byte) {
	data := make([]byte, size)
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	return &Block{Layout: "layout-1", Level: "avx2", Size: size, Items: []Item{
		{Name: "a", DType: "q4_0", Shape: []int{48, 64}, Uses: 1, Size: size / 2},
		{Name: "b", DType: "q8_0", Shape: []int{48, 64}, Uses: 3, Off: size / 2, Size: size - size/2},
	}}, data
}

func save(t *testing.T, m *Model, b *Block, data []byte) {
	t.Helper()
	if err := m.Save(ctx, b, bytes.NewReader(data), noPace); err != nil {
		t.Fatal(err)
	}
}

// read reads a whole entry.
func read(e *Entry) ([]byte, error) {
	out := make([]byte, e.size)
	for i := range e.Chunks() {
		if err := e.Read(i, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// found asks that the cache gives the block, by reading and by mapping.
func found(t *testing.T, m *Model, b *Block, want []byte) {
	t.Helper()
	e := m.Find(ctx, b)
	if e == nil {
		t.Fatal("the entry is not found")
	}
	defer e.Close()
	got, err := read(e)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read: %v, the same: %v", err, bytes.Equal(got, want))
	}
	block, unmap, err := e.Map()
	if errors.Is(err, errors.ErrUnsupported) {
		return
	}
	if err != nil || !bytes.Equal(block, want) {
		t.Fatalf("mapped: %v, the same: %v", err, bytes.Equal(block, want))
	}
	for i := range e.Chunks() {
		if err := e.Check(i, block); err != nil {
			t.Error(err)
		}
	}
	if err := unmap(); err != nil {
		t.Error(err)
	}
}

func names(t *testing.T, dir, suffix string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSaveAndFind(t *testing.T) {
	dir := t.TempDir()
	c := New(filepath.Join(dir, "sub", "packed"))
	f := modelFile(t, filepath.Join(dir, "m.gguf"), "a model of some bytes")
	b, data := testBlock(1, 3*chunkSize+12345)
	if e := c.Model("m.gguf", []File{f}, false).Find(ctx, b); e != nil {
		t.Fatal("found in an empty cache")
	}
	save(t, c.Model("m.gguf", []File{f}, false), b, data)
	found(t, c.Model("m.gguf", []File{f}, false), b, data)

	all, err := c.List()
	if err != nil || len(all) != 1 || all[0].Label != "m.gguf" || all[0].Layout != "layout-1" || all[0].Level != "avx2" || all[0].Size < int64(len(data)) {
		t.Errorf("List: %+v, %v", all, err)
	}

	t.Run("level does not matter", func(t *testing.T) {
		other := *b
		other.Level = "avx512"
		found(t, c.Model("", []File{f}, false), &other, data)
	})
	t.Run("the same model elsewhere", func(t *testing.T) {
		copied := modelFile(t, filepath.Join(dir, "copy.gguf"), "a model of some bytes")
		found(t, c.Model("", []File{copied}, false), b, data)
	})
	for name, change := range map[string]func(*Block){
		"layout": func(b *Block) { b.Layout = "layout-2" },
		"name":   func(b *Block) { b.Items[0].Name = "c" },
		"type":   func(b *Block) { b.Items[0].DType = "q4_1" },
		"shape":  func(b *Block) { b.Items[0].Shape = []int{64, 48} },
		"uses":   func(b *Block) { b.Items[1].Uses = 1 },
		"order":  func(b *Block) { b.Items[0], b.Items[1] = b.Items[1], b.Items[0] },
		"place":  func(b *Block) { b.Items[1].Off -= 64 },
		"fewer":  func(b *Block) { b.Items = b.Items[:1] },
	} {
		t.Run("another "+name, func(t *testing.T) {
			other, _ := testBlock(1, b.Size)
			change(other)
			if e := c.Model("", []File{f}, false).Find(ctx, other); e != nil {
				t.Error("found")
			}
		})
	}
	t.Run("another model", func(t *testing.T) {
		g := modelFile(t, filepath.Join(dir, "n.gguf"), "a model of other bytes")
		if e := c.Model("", []File{g}, false).Find(ctx, b); e != nil {
			t.Error("found")
		}
	})
	if freed, err := c.Clear(); err != nil || freed < int64(len(data)) {
		t.Errorf("Clear: %d, %v", freed, err)
	}
	if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Error("the folder is still there")
	}
	if all, err := c.List(); err != nil || len(all) != 0 {
		t.Errorf("List after Clear: %v, %v", all, err)
	}
}

// A second start does not read the model, and a model that was changed is not
// taken for what it was.
func TestRecords(t *testing.T) {
	dir := t.TempDir()
	c := New(filepath.Join(dir, "packed"))
	path := filepath.Join(dir, "m.gguf")
	modelFile(t, path, "the first content")
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	b, data := testBlock(2, chunkSize)

	// The file was changed just now: its hash must not be recorded, since a change
	// in the next moment might leave no trace in its times.
	m := c.Model("", []File{opened(t, path)}, false)
	if m.files[0].changed().Before(past.Add(time.Minute)) {
		t.Skip("this system does not tell when a file's node was changed")
	}
	save(t, m, b, data)
	if n := names(t, c.Dir(), indexSuffix); len(n) != 0 {
		t.Fatalf("recorded at once: %v", n)
	}
	m = c.Model("", []File{opened(t, path)}, false)
	m.Settle(ctx)
	save(t, m, b, data)
	if n := names(t, c.Dir(), indexSuffix); len(n) != 1 {
		t.Fatalf("not recorded: %v", n)
	}
	m = c.Model("", []File{opened(t, path)}, false)
	if _, ok := m.known(); !ok {
		t.Fatal("the record is not found")
	}
	found(t, m, b, data)

	// The same size, the same inode, the same time of change: the node's own
	// time tells.
	st := opened(t, path).Info
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("another"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, st.ModTime(), st.ModTime()); err != nil {
		t.Fatal(err)
	}
	m = c.Model("", []File{opened(t, path)}, false)
	if _, ok := m.known(); ok {
		t.Error("a changed file is known")
	}
	if e := m.Find(ctx, b); e != nil {
		t.Error("a changed model's weights are found")
	}
}

func TestChangedWhileOpen(t *testing.T) {
	dir := t.TempDir()
	c := New(filepath.Join(dir, "packed"))
	f := modelFile(t, filepath.Join(dir, "m.gguf"), "the first content")
	if err := os.WriteFile(f.Path, []byte("other content, longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, data := testBlock(3, chunkSize)
	if err := c.Model("", []File{f}, false).Save(ctx, b, bytes.NewReader(data), noPace); !errors.Is(err, errChanged) {
		t.Errorf("saving the weights of a file that has changed: %v", err)
	}
	if n := names(t, c.Dir(), ""); len(n) != 0 {
		t.Errorf("left behind: %v", n)
	}
}

func TestParts(t *testing.T) {
	dir := t.TempDir()
	c := New(filepath.Join(dir, "packed"))
	f1, f2 := modelFile(t, filepath.Join(dir, "1"), "part one, of two"), modelFile(t, filepath.Join(dir, "2"), "part two, of two")
	b, data := testBlock(4, chunkSize+1)
	save(t, c.Model("", []File{f1, f2}, false), b, data)
	found(t, c.Model("", []File{f1, f2}, false), b, data)
	for _, files := range [][]File{{f1}, {f2}, {f2, f1}} {
		if e := c.Model("", files, false).Find(ctx, b); e != nil {
			t.Errorf("found with %d parts", len(files))
		}
	}
}

// Whatever happens to an entry, it is found whole, found damaged, or not found;
// and a good one can take its place.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	c := New(filepath.Join(dir, "packed"))
	f := modelFile(t, filepath.Join(dir, "m.gguf"), "a model of some bytes")
	b, data := testBlock(5, 2*chunkSize+77)
	m := c.Model("", []File{f}, false)
	save(t, m, b, data)
	path := names(t, c.Dir(), entrySuffix)[0]
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseHeader(good, int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	type damage struct {
		name string
		file []byte
	}
	var all []damage
	flip := func(at int) {
		bad := bytes.Clone(good)
		bad[at] ^= 0x10
		all = append(all, damage{fmt.Sprintf("bit of byte %d", at), bad})
	}
	head, _ := headerSize(good)
	for at := 0; at < head; at += 7 {
		flip(at)
	}
	for _, at := range []int64{h.at, h.at + chunkSize - 1, h.at + chunkSize, h.at + 2*chunkSize + 76} {
		flip(int(at))
	}
	for _, n := range []int{0, 1, 47, 48, head - 1, head, int(h.at), int(h.at) + chunkSize, len(good) - 1} {
		all = append(all, damage{fmt.Sprintf("cut off after %d", n), good[:n]})
	}
	all = append(all,
		damage{"a byte more", append(bytes.Clone(good), 0)},
		damage{"zeros, as after a power failure", make([]byte, len(good))},
		damage{"zeros in the weights", append(bytes.Clone(good[:h.at]), make([]byte, len(good)-int(h.at))...)},
		damage{"a text", []byte(strings.Repeat("something else entirely\n", 1000))})
	for _, d := range all {
		if err := os.WriteFile(path, d.file, 0o600); err != nil {
			t.Fatal(err)
		}
		if e := m.Find(ctx, b); e != nil {
			if got, err := read(e); err == nil {
				t.Errorf("%s: read without an error, the same: %v", d.name, bytes.Equal(got, data))
			}
			e.Discard()
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the bad entry stays", d.name)
		}
	}
	// Padding between the header and the weights is nobody's.
	bad := bytes.Clone(good)
	bad[head] ^= 1
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	found(t, m, b, data)
	save(t, m, b, data)
	found(t, m, b, data)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil { // not a file at all
		t.Fatal(err)
	}
	if e := m.Find(ctx, b); e != nil {
		t.Error("a folder was taken for an entry")
	}
	save(t, m, b, data)
	found(t, m, b, data)
}

// Where nothing can be written, nothing is left and nothing but an error comes of
// it.
func TestCannotWrite(t *testing.T) {
	dir := t.TempDir()
	f := modelFile(t, filepath.Join(dir, "m.gguf"), "a model of some bytes")
	b, data := testBlock(6, chunkSize)
	t.Run("no folder", func(t *testing.T) {
		c := New(filepath.Join(f.Path, "packed")) // below a file
		if err := c.Model("", []File{f}, false).Save(ctx, b, bytes.NewReader(data), noPace); err == nil {
			t.Error("saved")
		}
		if e := c.Model("", []File{f}, false).Find(ctx, b); e != nil {
			t.Error("found")
		}
		if c.Remember("x") == nil || c.Remembers("x") {
			t.Error("remembered")
		}
	})
	t.Run("full", func(t *testing.T) {
		c := New(filepath.Join(dir, "full"))
		c.space = func(string) (int64, int64, error) { return 1 << 40, int64(2*len(data)) - 1, nil }
		if err := c.Model("", []File{f}, false).Save(ctx, b, bytes.NewReader(data), noPace); err == nil {
			t.Error("saved")
		}
		if n := names(t, c.Dir(), ""); len(n) != 0 {
			t.Errorf("left behind: %v", n)
		}
		c.space = func(string) (int64, int64, error) { return 1 << 40, int64(2 * len(data)), nil }
		save(t, c.Model("", []File{f}, false), b, data)
	})
	t.Run("given up", func(t *testing.T) {
		c := New(filepath.Join(dir, "cancelled"))
		ctx, cancel := context.WithCancel(ctx)
		n := 0
		err := c.Model("", []File{f}, false).Save(ctx, b, bytes.NewReader(data), func() {
			if n++; n == 2 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if n := names(t, c.Dir(), entrySuffix); len(n) != 0 {
			t.Errorf("entry: %v", n)
		}
		if n := names(t, c.Dir(), tempSuffix); len(n) != 0 {
			t.Errorf("left behind: %v", n)
		}
	})
	t.Run("small", func(t *testing.T) {
		c := New(filepath.Join(dir, "small"))
		b, data := testBlock(6, smallest-1)
		if err := c.Model("", []File{f}, false).Save(ctx, b, bytes.NewReader(data), noPace); err == nil {
			t.Error("saved")
		}
	})
}

// Many write the same entry and read it at the same time, as processes do.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	f := modelFile(t, filepath.Join(dir, "m.gguf"), "a model of some bytes")
	b, data := testBlock(7, chunkSize+100)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := New(filepath.Join(dir, "packed"))
			for range 3 {
				if err := c.Model("", []File{f}, false).Save(ctx, b, bytes.NewReader(data), noPace); err != nil {
					t.Error(err)
				}
				e := c.Model("", []File{f}, false).Find(ctx, b)
				if e == nil {
					t.Error("not found")
					continue
				}
				if got, err := read(e); err != nil || !bytes.Equal(got, data) {
					t.Errorf("read: %v", err)
				}
				e.Close()
			}
		}()
	}
	wg.Wait()
	if n := names(t, filepath.Join(dir, "packed"), entrySuffix); len(n) != 1 {
		t.Errorf("entries: %v", n)
	}
	if n := names(t, filepath.Join(dir, "packed"), tempSuffix); len(n) != 0 {
		t.Errorf("left behind: %v", n)
	}
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	c := New(filepath.Join(dir, "packed"))
	c.limit = 3*(chunkSize+dataAlign) + 100
	b, data := testBlock(8, chunkSize)
	var files []File
	for i := range 5 {
		f := modelFile(t, filepath.Join(dir, fmt.Sprint(i)), fmt.Sprint("model ", i, " of five"))
		files = append(files, f)
		save(t, c.Model(fmt.Sprint(i), []File{f}, false), b, data)
		// Entries are used in order, but 0 is used again and again.
		for k, p := range c.mustFiles(t) {
			old := time.Now().Add(-time.Duration(k+1) * time.Minute)
			if err := os.Chtimes(p, old, old); err != nil {
				t.Fatal(err)
			}
		}
		found(t, c.Model("", files[:1], false), b, data)
	}
	all, err := c.List()
	if err != nil || len(all) != 3 || all[0].Label != "0" || all[1].Label != "4" || all[2].Label != "3" {
		t.Errorf("kept: %+v, %v", all, err)
	}
	// A new entry larger than the limit is kept alone.
	big, bigData := testBlock(9, 5*chunkSize)
	save(t, c.Model("big", files[1:2], false), big, bigData)
	if all, err := c.List(); err != nil || len(all) != 1 || all[0].Label != "big" {
		t.Errorf("kept: %+v, %v", all, err)
	}
	// What a process that died left behind goes after an hour, also where every
	// later one dies, too.
	gone, cancel := context.WithCancel(ctx)
	cancel()
	stale, fresh := filepath.Join(c.Dir(), tempPrefix+"1"+tempSuffix), filepath.Join(c.Dir(), tempPrefix+"2"+tempSuffix)
	for _, p := range []string{stale, fresh} {
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(stale, old, old); err != nil {
		t.Fatal(err)
	}
	if err := c.Model("", files[:1], false).Save(gone, b, bytes.NewReader(data), noPace); !errors.Is(err, context.Canceled) {
		t.Errorf("a save that is given up: %v", err)
	}
	if n := names(t, c.Dir(), tempSuffix); len(n) != 1 || n[0] != fresh {
		t.Errorf("temporary files: %v", n)
	}
}

// The folder may hold files of others, with the same endings.
func TestFilesOfOthers(t *testing.T) {
	dir := t.TempDir()
	c := New(filepath.Join(dir, "packed [of many]")) // a pattern to path/filepath.Match
	f := modelFile(t, filepath.Join(dir, "m.gguf"), "a model of some bytes")
	b, data := testBlock(10, chunkSize)
	save(t, c.Model("", []File{f}, false), b, data)
	var others []string
	old := time.Now().Add(-2 * staleIndex)
	for _, name := range []string{"letter.tmp", "123.tmp", "card.id", "0.ok", "backpack.pack", strings.Repeat("a", 32) + ".id.txt"} {
		path := filepath.Join(c.Dir(), name)
		others = append(others, path)
		if err := os.WriteFile(path, []byte("dear"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	c.limit = 1
	c.prune("")
	c.sweep()
	if all, err := c.List(); err != nil || len(all) != 0 {
		t.Errorf("after prune: %v, %v", all, err)
	}
	c.limit = 0
	m := c.Model("", []File{f}, false)
	save(t, m, b, data)
	found(t, c.Model("", []File{f}, false), b, data) // by hashing, where records do not know the file
	if err := c.Remember("x"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Clear(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(c.Dir())
	if err != nil || len(left) != len(others) {
		t.Errorf("after Clear: %v, %v; want the %d files of others alone", left, err, len(others))
	}
}

// An entry whose header fits together and has the right key, but another number of
// bytes than the block, is none: its pieces would not fit into the block.
func TestForgedSize(t *testing.T) {
	dir := t.TempDir()
	c := New(filepath.Join(dir, "packed"))
	f := modelFile(t, filepath.Join(dir, "m.gguf"), "a model of some bytes")
	b, data := testBlock(11, chunkSize)
	m := c.Model("", []File{f}, false)
	save(t, m, b, data)
	path := names(t, c.Dir(), entrySuffix)[0]
	good, err := readHeader(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{0, 1, chunkSize - 1, chunkSize + 1, 3 * chunkSize} {
		h := header{size: size, key: good.key, info: good.info, sums: make([]uint32, chunksOf(size))}
		weights := make([]byte, size)
		for i := range h.sums {
			h.sums[i] = checksum(weights[i*chunkSize : min(int64(i+1)*chunkSize, size)])
		}
		head, err := h.encode()
		if err != nil {
			t.Fatal(err)
		}
		file := make([]byte, h.at+size)
		copy(file, head)
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		if e := m.Find(ctx, b); e != nil {
			e.Discard()
			t.Errorf("an entry of %d bytes is taken for one of %d", size, b.Size)
		}
	}
}

// TestIsBad: what the system says of a file says nothing of what is in it.
func TestIsBad(t *testing.T) {
	for _, c := range []struct {
		err error
		bad bool
	}{
		{&fs.PathError{Op: "open", Err: syscall.EMFILE}, false},
		{&fs.PathError{Op: "lstat", Err: syscall.EACCES}, false},
		{fmt.Errorf("x: %w", &fs.PathError{Op: "read", Err: syscall.EIO}), false},
		{&fs.PathError{Op: "open", Err: fs.ErrNotExist}, false},
		{errNoEntry, true}, {io.EOF, true}, {fmt.Errorf("x: %w", owned.ErrNotOwned), true},
	} {
		if got := isBad(c.err); got != c.bad {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

func (c *Cache) mustFiles(t *testing.T) (paths []string) {
	t.Helper()
	files, err := c.files(entrySuffix)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		paths = append(paths, f.path)
	}
	return paths
}

func TestFacts(t *testing.T) {
	c := New(filepath.Join(t.TempDir(), "packed"))
	if c.Remembers("a") {
		t.Error("an empty cache remembers")
	}
	if err := c.Remember("a"); err != nil {
		t.Fatal(err)
	}
	if !c.Remembers("a") || c.Remembers("b") {
		t.Error("a is not remembered, or b is")
	}
	path := c.factPath("a")
	if err := os.Rename(path, c.factPath("b")); err != nil {
		t.Fatal(err)
	}
	if c.Remembers("b") {
		t.Error("another fact's file counts")
	}
	if err := c.Remember("a"); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-factLife - time.Minute)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if c.Remembers("a") {
		t.Error("remembered for too long")
	}
	if Program() == "" {
		t.Error("the running program has no name")
	}
}

func TestDefault(t *testing.T) {
	for _, c := range []struct {
		value string
		off   bool
		dir   string // a part
	}{
		{"", false, filepath.Join("ledge", "packed")}, {"1", false, filepath.Join("ledge", "packed")},
		{"0", true, ""}, {"off", true, ""}, {" OFF ", true, ""}, {"no", true, ""},
		{"some/folder", false, filepath.Join("some", "folder")},
	} {
		t.Setenv("HOME", t.TempDir())
		got := Default(func(string) string { return c.value })
		if (got == nil) != c.off || got != nil && (!filepath.IsAbs(got.Dir()) || !strings.HasSuffix(got.Dir(), c.dir)) {
			t.Errorf("LEDGE_PACK_CACHE=%q: %+v", c.value, got)
		}
	}
}

func FuzzHeader(f *testing.F) {
	h := header{size: 2*chunkSize + 5, key: []byte("key"), info: Info{Label: "m"}, sums: []uint32{1, 2, 3}}
	good, err := h.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, h.at+h.size)
	f.Add(good[:40], int64(40))
	f.Add([]byte(magic), int64(1<<40))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		// As found, and with a checksum that fits, so that the rest is looked at.
		fixed := bytes.Clone(b)
		if n, err := headerSize(b); err == nil && n <= len(b) {
			sum := checksum(b[16:n])
			fixed[12], fixed[13], fixed[14], fixed[15] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		}
		for _, b := range [][]byte{b, fixed} {
			h, err := parseHeader(b, size)
			if err != nil {
				continue
			}
			if h.at < 0 || h.size < 0 || h.at+h.size != size || len(h.sums) != chunksOf(h.size) || len(h.key) > len(b) {
				t.Fatalf("%d bytes from %d in a file of %d, %d checksums", h.size, h.at, size, len(h.sums))
			}
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add(encodeRecord("1 2 3", Sum{1, 2}), "1 2 3")
	f.Add([]byte("\n\n\n\n"), "")
	f.Fuzz(func(t *testing.T, b []byte, id string) {
		if s, ok := parseRecord(b, id); ok && !bytes.Equal(encodeRecord(id, s), b) {
			t.Fatalf("%q is not the record of %q", b, id)
		}
	})
}

// TestPieces: a device whose memory the host cannot see saves from a reader and
// reads piece by piece.
func TestPieces(t *testing.T) {
	dir := t.TempDir()
	f := modelFile(t, filepath.Join(dir, "m.gguf"), "a model of some bytes")
	b, data := testBlock(6, 2*chunkSize+12345)
	m := New(filepath.Join(dir, "packed")).Model("", []File{f}, false)
	if err := m.Save(ctx, b, bytes.NewReader(data[:len(data)-1]), noPace); err == nil {
		t.Error("a block that ends early was saved")
	}
	if e := m.Find(ctx, b); e != nil {
		t.Fatal("and found")
	}
	save(t, m, b, data)
	e := m.Find(ctx, b)
	if e == nil {
		t.Fatal("not found")
	}
	defer e.Close()
	var got []byte
	for i := range e.Chunks() {
		from, to := e.Bounds(i)
		piece := make([]byte, to-from)
		if err := e.ReadPiece(i, piece); err != nil {
			t.Fatal(err)
		}
		if err := e.ReadPiece(i, piece[1:]); err == nil {
			t.Error("a piece was read into less room than it takes")
		}
		got = append(got, piece...)
	}
	if !bytes.Equal(got, data) {
		t.Error("the pieces are not the block")
	}
}
