package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// libraryPages makes the page of the C library from the comments of ledge.h, and for
// each of its functions a page that is the same.
func (t *task) libraryPages(day, version string) (map[string][]byte, error) {
	path := filepath.Join(t.root, "cmd", "libledge", "ledge.h")
	header, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	text, functions, err := libraryPage(string(header), day, version)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	pages := map[string][]byte{"libledge.3": []byte(text)}
	for _, f := range functions {
		pages[f+".3"] = []byte(".so man3/libledge.3\n")
	}
	return pages, nil
}

var (
	// divider is the line before each part of the header.
	divider = regexp.MustCompile(`^/\* -{10,} (.+) \*/$`)
	// function is a declaration's beginning.
	function = regexp.MustCompile(`^[a-z].*?\b(ledge_[a-z_]+)\(`)
)

// libraryPage makes one page of a header: its first comment, then its parts with their
// comments as text and what they declare as it stands.
func libraryPage(header, day, version string) (text string, functions []string, err error) {
	first, rest, ok := strings.Cut(header, "*/\n")
	if !ok || !strings.HasPrefix(first, "/*\n * ledge.h: ") {
		return "", nil, fmt.Errorf("it does not begin with the comment that describes it")
	}
	_, parts, ok := bytes.Cut([]byte(rest), []byte("extern \"C\" {\n#endif\n"))
	if !ok {
		return "", nil, fmt.Errorf("there is no extern \"C\"")
	}
	body, _, _ := strings.Cut(string(parts), "#ifdef __cplusplus")

	p := newPage("libledge", "3", day, "ledge "+version, "Ledge manual")
	p.name("libledge", "Ledge's C interface: run language models from GGUF files")
	p.section("LIBRARY")
	p.fill("The C library of Ledge (libledge, -lledge).")
	p.section("SYNOPSIS")
	p.literal([]string{"#include <ledge.h>"})
	p.section("DESCRIPTION")
	p.comment(strings.TrimPrefix(first, "/*\n * ledge.h: "))
	p.section("VERSION OF THE INTERFACE")
	functions = p.declarations(body)
	if len(functions) == 0 {
		return "", nil, fmt.Errorf("it declares no function")
	}
	p.section("SEE ALSO")
	p.b.WriteString(".BR ledge (1)\n")
	return p.b.String(), functions, nil
}

// comment is the inside of a C comment: paragraphs, of which those that begin with
// words in capitals are parts, and indented code.
func (p *page) comment(inside string) {
	var lines []string
	for _, line := range strings.Split(strings.TrimSuffix(strings.TrimSpace(inside), "*/"), "\n") {
		line = strings.TrimPrefix(strings.TrimPrefix(strings.TrimRight(line, " "), " *"), " ")
		lines = append(lines, line)
	}
	for _, part := range strings.Split(strings.Join(lines, "\n"), "\n\n") {
		part = strings.Trim(part, "\n")
		if part == "" {
			continue
		}
		if m := capitals.FindStringSubmatch(part); m != nil {
			p.sub(title(m[1]))
			part = part[len(m[0]):]
			if !strings.HasSuffix(m[0], ". ") { // the word belongs to the sentence
				part = title(m[1]) + " " + part
			}
		}
		p.text(part)
	}
}

var capitals = regexp.MustCompile(`^([A-Z]{4,})(?:\. | )`)

// declarations are the parts of the header's body.
func (p *page) declarations(body string) (functions []string) {
	var code []string
	flush := func() {
		if s := strings.Trim(strings.Join(code, "\n"), "\n"); s != "" {
			p.literal(strings.Split(s, "\n"))
		}
		code = nil
	}
	lines := strings.Split(body, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if m := divider.FindStringSubmatch(line); m != nil {
			flush()
			p.section(strings.ToUpper(m[1]))
			continue
		}
		if strings.HasPrefix(line, "/*") { // at the margin: text
			flush()
			comment := line[2:]
			for !strings.Contains(lines[i], "*/") && i+1 < len(lines) {
				i++
				comment += "\n" + lines[i]
			}
			p.comment(comment)
			continue
		}
		if m := function.FindStringSubmatch(line); m != nil && !strings.HasPrefix(line, "typedef") {
			functions = append(functions, m[1])
		}
		code = append(code, line)
	}
	flush()
	return functions
}
