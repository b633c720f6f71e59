package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// sbom writes the bill of materials of built programs: the Go modules that the
// toolchain says it linked into them.
func (t *task) sbom(args []string) error {
	date, err := t.date()
	if err != nil {
		return err
	}
	entries, _, err := t.readIndex()
	if err != nil {
		return err
	}
	direct, err := t.direct()
	if err != nil {
		return err
	}
	var binaries []binary
	for _, path := range args[1:] {
		b, err := readBinary(path)
		if err != nil {
			return err
		}
		binaries = append(binaries, b)
	}
	data, err := bill(binaries, entries, direct, t.version(), date)
	if err != nil {
		return err
	}
	return write(args[0], data)
}

// direct lists the modules that Ledge itself asks for.
func (t *task) direct() ([]string, error) {
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = t.root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod edit -json: %w", withStderr(err))
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return nil, fmt.Errorf("go mod edit -json: %w", err)
	}
	paths := []string{standard}
	for _, r := range mod.Require {
		if !r.Indirect {
			paths = append(paths, r.Path)
		}
	}
	return paths, nil
}

// bill is the bill of materials in CycloneDX's JSON, version 1.6. Its serial number
// comes from its content.
func bill(binaries []binary, entries []entry, direct []string, version string, date time.Time) ([]byte, error) {
	root := purl(mainModule, version)
	var programs []cdx.Component
	linked := map[string]module{}
	for _, b := range binaries {
		programs = append(programs, cdx.Component{
			BOMRef: root + "#" + b.name, Type: cdx.ComponentTypeApplication, Name: b.name, Version: version,
			Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: b.sha256}}, Properties: settings(b),
		})
		for _, m := range b.modules {
			if o, ok := linked[m.path]; ok && o.version != m.version {
				return nil, fmt.Errorf("%s is linked as %s and as %s: the programs are of different builds", m.path, o.version, m.version)
			}
			linked[m.path] = m
		}
	}
	slices.SortFunc(programs, func(x, y cdx.Component) int { return strings.Compare(x.BOMRef, y.BOMRef) })

	var components []cdx.Component
	var needs []string
	for _, path := range sortedKeys(linked) {
		m := linked[path]
		c, err := componentOf(m, entries)
		if err != nil {
			return nil, err
		}
		components = append(components, c)
		if slices.Contains(direct, path) {
			needs = append(needs, c.BOMRef)
		}
	}
	ref := cdx.BOMReference(root)
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{
		Timestamp:  date.Format(time.RFC3339),
		Lifecycles: &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhasePostBuild}},
		Tools:      &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "build/release", Version: version}}},
		Component: &cdx.Component{
			BOMRef: root, Type: cdx.ComponentTypeApplication, Name: "ledge", Version: version, PackageURL: root,
			Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}}, Components: &programs,
		},
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: root, Dependencies: &needs}}
	// All modules are listed; which of them another one needs is not.
	bom.Compositions = &[]cdx.Composition{
		{Aggregate: cdx.CompositionAggregateComplete, Assemblies: &[]cdx.BOMReference{ref}},
		{Aggregate: cdx.CompositionAggregateIncomplete, Dependencies: &[]cdx.BOMReference{ref}},
	}
	content, err := encode(bom)
	if err != nil {
		return nil, err
	}
	bom.SerialNumber = uuid.NewHash(sha256.New(), uuid.NameSpaceURL, content, 8).URN()
	return encode(bom)
}

// settings are the build settings that say what is in a program.
func settings(b binary) *[]cdx.Property {
	out := []cdx.Property{{Name: "ledge:go:version", Value: b.info.GoVersion}}
	for _, s := range b.info.Settings {
		switch s.Key {
		case "GOOS", "GOARCH", "CGO_ENABLED", "-tags", "-buildmode", "vcs.revision", "vcs.modified":
			out = append(out, cdx.Property{Name: "ledge:go:" + s.Key, Value: s.Value})
		}
	}
	return &out
}

// componentOf is a module. Its checksum in go.sum is over a list of files, and no hash
// of anything that could be downloaded: it is a property.
func componentOf(m module, entries []entry) (cdx.Component, error) {
	at := slices.IndexFunc(entries, func(e entry) bool { return e.path == m.path })
	if at < 0 || m.path != standard && entries[at].version != m.version {
		return cdx.Component{}, fmt.Errorf("%s %s is not in %s: run go run ./build/release licences", m.path, m.version, licenceFolder)
	}
	name := purl(m.path, m.version)
	c := cdx.Component{
		BOMRef: name, Type: cdx.ComponentTypeLibrary, Name: m.path, Version: m.version, PackageURL: name, Scope: cdx.ScopeRequired,
	}
	if licence := entries[at].licence; strings.Contains(licence, " ") {
		c.Licenses = &cdx.Licenses{{Expression: licence}}
	} else {
		c.Licenses = &cdx.Licenses{{License: &cdx.License{ID: licence}}}
	}
	if m.changed {
		// As CycloneDX has it, a component that was changed has the original for an ancestor.
		c.Pedigree = &cdx.Pedigree{
			Ancestors: &[]cdx.Component{{Type: c.Type, Name: c.Name, Version: c.Version, PackageURL: c.PackageURL}},
			Notes:     "build/lean.sh replaced the function printHelpCustom of its help.go, for the programs' size.",
		}
	}
	if m.sum != "" {
		c.Properties = &[]cdx.Property{{Name: "ledge:go:sum", Value: m.sum}}
	}
	return c, nil
}

// purl is a module's package URL.
func purl(path, version string) string {
	return "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
}

func encode(bom *cdx.BOM) ([]byte, error) {
	var b bytes.Buffer
	err := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6)
	return b.Bytes(), err
}
