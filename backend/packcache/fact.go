package packcache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// factLife is how long a fact is remembered: long enough for warm starts, short
// enough for what no key can tell (a kernel, a hypervisor, a processor's
// firmware that was changed) to be noticed.
const factLife = 7 * 24 * time.Hour

const factTitle = "ledge fact 1"

// Remember keeps the fact that key names.
func (c *Cache) Remember(key string) error { return c.replace(c.factPath(key), encodeFact(key)) }

// Remembers tells whether a fact was kept in the last week.
func (c *Cache) Remembers(key string) bool {
	path := c.factPath(key)
	f, err := c.openOwn(path)
	if err != nil {
		return false
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return false
	}
	want := encodeFact(key)
	if age := time.Since(st.ModTime()); age > factLife || age < -time.Hour || st.Size() != int64(len(want)) {
		return false
	}
	b := make([]byte, len(want))
	_, err = io.ReadFull(f, b)
	return err == nil && string(b) == string(want)
}

func encodeFact(key string) []byte {
	text := fmt.Sprintf("%s\n%q\n", factTitle, key)
	return fmt.Appendf(nil, "%s%08x\n", text, checksum([]byte(text)))
}

func (c *Cache) factPath(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:16])+factSuffix)
}

// Program names the running program's file in its present state; "" if that
// cannot be told.
func Program() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	st, err := os.Stat(path)
	if err != nil {
		return ""
	}
	id, _ := fileIdentity(path, st)
	return id
}
