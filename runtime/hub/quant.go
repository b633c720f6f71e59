package hub

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// quantOrder is what is taken of a repository when the name asks for nothing: a
// good middle first, then what is closest to it in size and quality. Types the
// engine does not compute are not in it.
var quantOrder = []string{
	"Q4_K_M", "Q4_0", "Q4_K_S", "Q4_K", "Q4_1", "Q4", "IQ4_NL", "IQ4_XS", "MXFP4", "Q5_K_M", "Q5_K_S", "Q5_K", "Q5_0", "Q5_1",
	"Q8_0", "Q6_K", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K", "BF16", "F16", "F32",
}

// quantForm finds a quantisation in a file name, between separators.
var quantForm = regexp.MustCompile(`(?i)(?:^|[-._])((?:UD-)?(?:I?Q[1-8](?:_[0-9A-Z]+)*|MXFP4(?:_MOE)?|TQ[12]_0|BF16|FP?16|FP?32))(?:$|[-.])`)

// quantOf is the quantisation a GGUF file's name tells, in upper case, or "".
func quantOf(file string) string {
	base := file[strings.LastIndexByte(file, '/')+1:]
	if sp, ok := parseSplit(base); ok {
		base = sp.stem
	} else if len(base) > 5 && strings.EqualFold(base[len(base)-5:], ".gguf") {
		base = base[:len(base)-5]
	}
	// The last one counts: a model may be called after its precision.
	quant := ""
	for base != "" {
		loc := quantForm.FindStringSubmatchIndex(base)
		if loc == nil {
			break
		}
		quant, base = base[loc[2]:loc[3]], base[loc[3]:]
	}
	switch quant = strings.ToUpper(quant); quant {
	case "FP16":
		return "F16"
	case "FP32":
		return "F32"
	}
	return quant
}

// split is the name of one of several files that make a model together:
// stem-00001-of-00003.gguf.
type split struct {
	stem         string
	index, count int
}

var splitForm = regexp.MustCompile(`^(.+)-([0-9]{5})-of-([0-9]{5})\.gguf$`)

// maxSplit bounds how many files a name may stand for.
const maxSplit = 1000

func parseSplit(base string) (split, bool) {
	m := splitForm.FindStringSubmatch(base)
	if m == nil {
		return split{}, false
	}
	index, _ := strconv.Atoi(m[2])
	count, _ := strconv.Atoi(m[3])
	if index < 1 || index > count || count > maxSplit {
		return split{}, false
	}
	return split{m[1], index, count}, true
}

// name is the name of part i, from 1.
func (s split) name(i int) string { return fmt.Sprintf("%s-%05d-of-%05d.gguf", s.stem, i, s.count) }

// repoFile is a file of a remote repository.
type repoFile struct {
	path   string
	size   int64  // -1: unknown
	sha256 string // "": unknown
}

// choice is what one can pick from a repository: a file or a whole set of split ones.
type choice struct {
	name  string // path of the (first) file
	quant string
	files []repoFile
}

// choices gathers the models of a file list: GGUF files without projectors and the
// like, split files as one choice each. Incomplete sets are returned by name.
func choices(files []repoFile) (list []choice, incomplete []string) {
	byPath := map[string]repoFile{}
	for _, f := range files {
		byPath[f.path] = f
	}
	paths := make([]string, 0, len(byPath))
	for p := range byPath {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	broken := map[string]bool{}
	for _, p := range paths {
		dir, base := p[:strings.LastIndexByte(p, '/')+1], p[strings.LastIndexByte(p, '/')+1:]
		lower := strings.ToLower(base)
		if !strings.HasSuffix(lower, ".gguf") || strings.HasPrefix(lower, "mmproj") || strings.Contains(lower, "imatrix") {
			continue
		}
		if _, err := localName(p); err != nil || hasDots(p) {
			continue
		}
		sp, ok := parseSplit(base)
		if !ok {
			list = append(list, choice{p, quantOf(p), []repoFile{byPath[p]}})
			continue
		}
		c := choice{name: dir + sp.name(1), quant: quantOf(base)}
		for i := 1; i <= sp.count; i++ {
			f, ok := byPath[dir+sp.name(i)]
			if !ok {
				break
			}
			c.files = append(c.files, f)
		}
		switch {
		case len(c.files) != sp.count:
			if !broken[c.name] {
				broken[c.name] = true
				incomplete = append(incomplete, c.name)
			}
		case sp.index == 1:
			list = append(list, c)
		}
	}
	return list, incomplete
}

// pick selects what want asks for: a path, a base name, a quantisation, or, when
// want is empty, the first of quantOrder that is there.
func pick(files []repoFile, want string) (choice, error) {
	list, incomplete := choices(files)
	if len(list) == 0 {
		if len(incomplete) > 0 {
			return choice{}, fmt.Errorf("of the split files %s not all parts are there", oneLine(strings.Join(incomplete, ", ")))
		}
		return choice{}, fmt.Errorf("there is no GGUF file among its %d files", len(files))
	}
	var found []choice
	if want == "" {
		for _, q := range quantOrder {
			if found = filter(list, func(c choice) bool { return c.quant == q }); len(found) > 0 {
				break
			}
		}
		if len(found) == 0 && len(list) == 1 {
			found = list
		}
		if len(found) != 1 {
			return choice{}, fmt.Errorf("say which file or quantisation: there are %s", names(list))
		}
		return found[0], nil
	}
	quant := strings.ToUpper(want)
	if quant == "FP16" || quant == "FP32" {
		quant = "F" + quant[2:]
	}
	tests := []func(choice) bool{
		func(c choice) bool { return c.name == want },
		func(c choice) bool { return strings.EqualFold(c.name[strings.LastIndexByte(c.name, '/')+1:], want) },
		func(c choice) bool { return strings.EqualFold(c.name, want) },
		func(c choice) bool { return c.quant == quant },
	}
	for _, test := range tests {
		if found = filter(list, test); len(found) == 1 {
			return found[0], nil
		} else if len(found) > 1 {
			return choice{}, fmt.Errorf("%s fits several files: %s", want, names(found))
		}
	}
	if sp, ok := parseSplit(want[strings.LastIndexByte(want, '/')+1:]); ok && sp.index > 1 {
		return choice{}, fmt.Errorf("%s is part %d of %d split files: name the first", want, sp.index, sp.count)
	}
	if slices.Contains(incomplete, want) {
		return choice{}, fmt.Errorf("of the split files %s not all parts are there", want)
	}
	return choice{}, fmt.Errorf("there is no %s; there are %s", want, names(list))
}

func filter(list []choice, test func(choice) bool) []choice {
	var out []choice
	for _, c := range list {
		if test(c) {
			out = append(out, c)
		}
	}
	return out
}

// names lists choices for a message, briefly: by quantisation where that is enough.
func names(list []choice) string {
	seen := map[string]int{}
	for _, c := range list {
		seen[c.quant]++
	}
	var parts []string
	for _, c := range list {
		if len(parts) == 12 {
			parts = append(parts, fmt.Sprintf("and %d more", len(list)-12))
			break
		}
		if c.quant != "" && seen[c.quant] == 1 {
			parts = append(parts, c.quant)
		} else {
			parts = append(parts, oneLine(c.name))
		}
	}
	return strings.Join(parts, ", ")
}
