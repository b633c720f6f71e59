package distill

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// words makes a document's targets.
func words(seed uint64, rows, k, ids int) (docKey, []int32, []float32) {
	rng := rand.New(rand.NewPCG(seed, 1))
	i, p := make([]int32, rows*k), make([]float32, rows*k)
	for n := range i {
		i[n], p[n] = int32(rng.IntN(ids+1))-1, rng.Float32()
	}
	tokens := make([]int32, rows)
	for n := range tokens {
		tokens[n] = int32(rng.IntN(ids))
	}
	return docKeyOf(tokens, make([]int32, rows)), i, p
}

const testK, testIDs = 3, 50

var testKey = sha256.Sum256([]byte("a teacher"))

func mustOpenStore(t *testing.T, path string) *store {
	t.Helper()
	s, stale, err := openStore(path, testKey, testK, testIDs, 0)
	if err != nil || stale != nil {
		t.Fatal(err, stale)
	}
	return s
}

// check asks for documents [0, n) and no others.
func checkStore(t *testing.T, s *store, there func(i uint64) bool) {
	t.Helper()
	for i := range uint64(20) {
		rows := 1 + int(i)%4
		key, ids, probs := words(i, rows, testK, testIDs)
		gotIDs, gotProbs := make([]int32, len(ids)), make([]float32, len(probs))
		ok, err := s.get(key, gotIDs, gotProbs)
		if err != nil {
			t.Fatal(err)
		}
		if ok != there(i) {
			t.Errorf("document %d is there: %v", i, ok)
		}
		if ok && (!slices.Equal(ids, gotIDs) || !slices.Equal(probs, gotProbs)) {
			t.Errorf("document %d came back as another", i)
		}
	}
}

func fillStore(t *testing.T, s *store, from, to uint64) {
	t.Helper()
	for i := from; i < to; i++ {
		key, ids, probs := words(i, 1+int(i)%4, testK, testIDs)
		if full, err := s.put(key, ids, probs); err != nil || full {
			t.Fatal(full, err)
		}
	}
}

// TestStore: what was put is there after opening again, and after every kind of
// damage what is not whole is missing, never wrong.
func TestStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "words")
	s := mustOpenStore(t, path)
	fillStore(t, s, 0, 10)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s = mustOpenStore(t, path)
	checkStore(t, s, func(i uint64) bool { return i < 10 })
	fillStore(t, s, 10, 12)
	checkStore(t, s, func(i uint64) bool { return i < 12 })
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	ends := []int{storeHead}
	for i := range 10 {
		ends = append(ends, ends[i]+recordHead+8*testK*(1+i%4))
	}
	if ends[10] != len(whole) {
		t.Fatalf("%d bytes, want %d", len(whole), ends[10])
	}
	// Cut off anywhere, as when the power fails: what is whole stays, and more can follow.
	for n := storeHead; n < len(whole); n += 7 {
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		left := uint64(0)
		for left < 10 && ends[left+1] <= n {
			left++
		}
		s := mustOpenStore(t, path)
		fillStore(t, s, 15, 16)
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		s = mustOpenStore(t, path)
		checkStore(t, s, func(i uint64) bool { return i < left || i == 15 })
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
	// A flipped bit loses its document, or all after it where lengths are wrong.
	for at := storeHead; at < len(whole); at += 11 {
		bad := bytes.Clone(whole)
		bad[at] ^= 1 << (at % 8)
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		s := mustOpenStore(t, path)
		for i := range uint64(10) {
			key, ids, probs := words(i, 1+int(i)%4, testK, testIDs)
			gotIDs, gotProbs := make([]int32, len(ids)), make([]float32, len(probs))
			ok, err := s.get(key, gotIDs, gotProbs)
			hit := at >= ends[i] && at < ends[i+1]
			if err != nil || ok && (hit || !slices.Equal(ids, gotIDs) || !slices.Equal(probs, gotProbs)) || !ok && at >= ends[i+1] {
				t.Errorf("byte %d flipped: document %d is there: %v (%v)", at, i, ok, err)
			}
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStoreCutOff: what is cut off while the file is open is missing, and no error.
func TestStoreCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "words")
	s := mustOpenStore(t, path)
	fillStore(t, s, 0, 10)
	if err := os.Truncate(path, int64(storeHead+recordHead+8*testK+5)); err != nil {
		t.Fatal(err)
	}
	checkStore(t, s, func(i uint64) bool { return i == 0 })
	fillStore(t, s, 5, 6)
	checkStore(t, s, func(i uint64) bool { return i == 0 || i == 5 })
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpenStore(t, path)
	checkStore(t, s, func(i uint64) bool { return i == 0 })
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// TestStoreOfOthers: a file of another teacher, or none of ours, is made anew, and it
// is said why.
func TestStoreOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "words")
	s := mustOpenStore(t, path)
	fillStore(t, s, 0, 3)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	s, stale, err := openStore(path, sha256.Sum256([]byte("another")), testK, testIDs, 0)
	if err != nil || stale == nil || !strings.Contains(stale.Error(), "another teacher") {
		t.Fatal(err, stale)
	}
	checkStore(t, s, func(uint64) bool { return false })
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("something else"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, stale, err = openStore(path, testKey, testK, testIDs, 0)
	if err != nil || stale == nil || !strings.Contains(stale.Error(), "no file of a teacher's words") {
		t.Fatal(err, stale)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// TestStoreFull: at its size the file grows no more, and what is there stays.
func TestStoreFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "words")
	s, _, err := openStore(path, testKey, testK, testIDs, 300)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for i := range uint64(20) {
		key, ids, probs := words(i, 1+int(i)%4, testK, testIDs)
		full, err := s.put(key, ids, probs)
		if err != nil {
			t.Fatal(err)
		}
		if full {
			told++
		}
	}
	if told != 1 || s.size > 300 {
		t.Errorf("told %d times, %d bytes", told, s.size)
	}
	checkStore(t, s, func(i uint64) bool { return i < 3 })
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// FuzzStore: whatever a file holds, what is read from it are ids that there are, and
// probabilities.
func FuzzStore(f *testing.F) {
	head := storeHeader(testKey, testK, testIDs)
	key, ids, probs := words(1, 2, testK, testIDs)
	f.Add([]byte{})
	f.Add(head)
	f.Add(append(bytes.Clone(head), key[:]...))
	path := filepath.Join(f.TempDir(), "words")
	s, _, err := openStore(path, testKey, testK, testIDs, 0)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := s.put(key, ids, probs); err != nil {
		f.Fatal(err)
	}
	if err := s.close(); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, size, err := readStore(bytes.NewReader(data), int64(len(data)), testKey, testK, testIDs)
		if err != nil {
			return
		}
		if size < int64(storeHead) || size > int64(len(data)) {
			t.Fatalf("%d bytes of %d are whole", size, len(data))
		}
		for _, p := range docs {
			n := p.rows * testK
			if p.at+8*int64(n) > size {
				t.Fatalf("%d rows at %d of %d bytes", p.rows, p.at, size)
			}
			ids, probs := make([]int32, n), make([]float32, n)
			if decode(data[p.at:p.at+8*int64(n)], ids, probs, testIDs) {
				for i, id := range ids {
					if id < -1 || id >= testIDs || !(probs[i] >= 0 && probs[i] <= 1) {
						t.Fatalf("id %d with probability %g", id, probs[i])
					}
				}
			}
		}
	})
}
