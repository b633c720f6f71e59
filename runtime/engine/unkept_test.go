package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/packcache"
)

// TestNotKept: what fails when weights are kept is told; where they were to be shared, it
// is an error. Weights of no use to a cache are nobody's concern.
func TestNotKept(t *testing.T) {
	full := errors.New("the disk is full")
	for name, c := range map[string]struct {
		share bool
		bytes int64
		want  string
	}{
		"kept": {false, 1 << 20, "not kept for the next start: the disk is full"}, "shared": {true, 1 << 20, ""},
		"small": {false, 1000, ""}, "small, shared": {true, 1000, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cache := packcache.New(t.TempDir())
			m := &Model{Options: Options{Share: c.share, PackCache: cache}}
			err := m.keep(t.Context(), []backend.Weights{nil, unkept{c.bytes, full}}, cache.Model("model", nil, c.share))
			if e := m.keeper.wait(t.Context()); e != nil {
				t.Error(e)
			}
			if (err != nil) != (name == "shared") || err != nil && !errors.Is(err, full) {
				t.Errorf("error %v", err)
			}
			if got := strings.Join(m.Notes(), ""); got != c.want && !(c.want != "" && strings.HasSuffix(got, c.want)) {
				t.Errorf("notes %q, not %q", got, c.want)
			}
		})
	}
}

// unkept are weights that no cache takes.
type unkept struct {
	bytes int64
	err   error
}

func (u unkept) Bytes() int64                       { return u.bytes }
func (u unkept) Close() error                       { return nil }
func (u unkept) Origin() backend.Origin             { return backend.Packed }
func (u unkept) Keep(context.Context, func()) error { return u.err }
