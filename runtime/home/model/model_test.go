package model

import (
	"bytes"
	"testing"
	"unsafe"
)

// TestOpen: what the program carries is a whole model of the size that was promised.
func TestOpen(t *testing.T) {
	f, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	params := 0
	for _, x := range f.Tensors() {
		params += x.NumElems()
		if uintptr(unsafe.Pointer(unsafe.SliceData(x.Data)))%8 != 0 {
			t.Errorf("%s is not aligned", x.Name)
		}
	}
	if params < 1e6 || params > 3e6 || Size() != f.Size() || Size() > 3e6 || len(f.Paths()) > 0 {
		t.Errorf("%d parameters in %d bytes, files %v", params, Size(), f.Paths())
	}
	if _, ok := f.String("general.architecture"); !ok {
		t.Error("no architecture")
	}
}

func TestAligned(t *testing.T) {
	at := func(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
	room := make([]byte, 4*align)
	for i := range room {
		room[i] = byte(i)
	}
	for skip := range align + 1 {
		b := room[skip:][:2*align]
		got := aligned(b)
		if at(got)%align != 0 || !bytes.Equal(got, b) {
			t.Errorf("at %d: %v", skip, got)
		}
		if at(b)%align == 0 && at(got) != at(b) {
			t.Error("what is aligned was copied")
		}
	}
}
