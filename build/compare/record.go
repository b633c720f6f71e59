package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// figures are measurements by name: tokens a second of a test under llama-bench's
// name (tg64), wall_s, cpu_s and peak_mb of a process.
type figures map[string]float64

// A record is one round of a case: everything was measured within the same
// minute. The log has one a line.
type record struct {
	Case    string    `json:"case"`
	Build   string    `json:"build"` // hash of the ledge program
	Commit  string    `json:"commit,omitempty"`
	Time    time.Time `json:"time"`
	Machine machine   `json:"machine"`
	Peer    string    `json:"peer"` // its name and build
	First   string    `json:"first"`
	Seconds float64   `json:"seconds"`

	Ledge  figures `json:"ledge"`
	Rival  figures `json:"rival"`
	Facts  facts   `json:"facts"`
	Read   float64 `json:"read_gbs"`
	Dots   float64 `json:"dot_gops"`
	Others float64 `json:"others"` // processors that others kept busy, on average
	Steal  float64 `json:"steal"`  // processors that the hypervisor took away
	Load   float64 `json:"load"`   // load average at the beginning
	MHz    float64 `json:"mhz"`
}

type machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
	Level string `json:"level"`
}

// What others may use of the processors before a round counts as disturbed.
const (
	mostOthers = 0.05
	mostSteal  = 0.03
)

func (r *record) disturbed() bool { return r.Others > mostOthers || r.Steal > mostSteal }

// A journal is a file of records that only grows.
type journal struct {
	path    string
	records []record
}

const journalName = "rounds.jsonl"

// openJournal reads the journal of a folder, empty if there is none yet. A last
// line without its end is what an interrupted write left: it is passed over.
func openJournal(dir string) (*journal, error) {
	j := &journal{path: filepath.Join(dir, journalName)}
	data, err := os.ReadFile(j.path)
	if errors.Is(err, os.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return nil, err
	}
	j.records, err = parseRecords(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.path, err)
	}
	return j, nil
}

func parseRecords(data []byte) ([]record, error) {
	var all []record
	for n := 1; ; n++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			return all, nil
		}
		data = rest
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, r)
	}
}

// add appends a record and sees to it that it is on the disk.
func (j *journal) add(r record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(j.path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(j.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	if err := endLine(f); err != nil {
		f.Close()
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	j.records = append(j.records, r)
	return nil
}

// endLine cuts off what an interrupted write left after the last whole line.
func endLine(f *os.File) error {
	data, err := os.ReadFile(f.Name())
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(data, '\n') + 1
	if whole == len(data) {
		return nil
	}
	return f.Truncate(int64(whole))
}

// of lists the rounds of a case with a build of ledge.
func (j *journal) of(id, build string) []record {
	var all []record
	for _, r := range j.records {
		if r.Case == id && r.Build == build {
			all = append(all, r)
		}
	}
	return all
}

// usable are the rounds that figures are made of: those that nobody disturbed,
// or all if these are fewer than half.
func usable(all []record) (use []record, disturbed int) {
	for _, r := range all {
		if !r.disturbed() {
			use = append(use, r)
		}
	}
	disturbed = len(all) - len(use)
	if 2*len(use) < len(all) {
		return all, disturbed
	}
	return use, disturbed
}
