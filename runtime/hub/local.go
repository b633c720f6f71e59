package hub

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// checkLocal checks that path is a GGUF file, or the first of a whole set of split
// ones, and returns it.
func checkLocal(path string) (string, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint := ""
		if owner, repo, ok := strings.Cut(path, "/"); ok && repoPart.MatchString(owner) && repoPart.MatchString(repo) {
			hint = fmt.Sprintf("; for a repository of the hub write hf:%s", path)
		}
		return "", fmt.Errorf("no file %s%s", oneLine(path), hint)
	case err != nil:
		return "", fmt.Errorf("cannot open %s: %w", oneLine(path), reason(err))
	case st.IsDir():
		return "", fmt.Errorf("%s is a folder: name the .gguf file in it", oneLine(path))
	case !st.Mode().IsRegular():
		return "", fmt.Errorf("%s is no regular file", oneLine(path))
	}
	head, err := readHead(path)
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", oneLine(path), reason(err))
	}
	if err := sniff(head, ""); err != nil {
		return "", fmt.Errorf("%s: %w", oneLine(path), err)
	}
	dir, base := filepath.Split(path)
	sp, ok := parseSplit(base)
	if !ok {
		return path, nil
	}
	if sp.index != 1 {
		return "", fmt.Errorf("%s is part %d of %d: name the first, %s", oneLine(path), sp.index, sp.count, sp.name(1))
	}
	var missing []string
	for i := 2; i <= sp.count; i++ {
		if st, err := os.Stat(dir + sp.name(i)); err != nil || !st.Mode().IsRegular() {
			missing = append(missing, sp.name(i))
		}
	}
	if len(missing) > 0 {
		more := ""
		if len(missing) > 3 {
			more = fmt.Sprintf(" and %d more", len(missing)-3)
			missing = missing[:3]
		}
		return "", fmt.Errorf("%s is the first of %d files, and %s%s not there", oneLine(path), sp.count, oneLine(strings.Join(missing, ", ")), more+map[bool]string{true: " is", false: " are"}[len(missing) == 1])
	}
	return path, nil
}

// headSize is how many first bytes tell what a file is.
const headSize = 512

func readHead(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, headSize)
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

// sniff reports what a file is that begins with head and should be GGUF. The content
// type is the server's, if any.
func sniff(head []byte, contentType string) error {
	if len(head) >= 4 && string(head[:4]) == "GGUF" {
		return nil
	}
	text := strings.ToLower(strings.TrimSpace(string(head)))
	switch {
	case len(head) == 0:
		return fmt.Errorf("%w: it is empty", ErrNotGGUF)
	case strings.HasPrefix(text, "version https://git-lfs.github.com/spec/"):
		return fmt.Errorf("%w: it is a Git LFS pointer, which stands for the file; fetch the file itself (git lfs pull, or the address with /resolve/)", ErrNotGGUF)
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"), strings.HasPrefix(contentType, "text/html"):
		return fmt.Errorf("%w: it is a web page (a log-in, or the network's own portal?)", ErrNotGGUF)
	case strings.HasPrefix(text, "{"), strings.HasPrefix(contentType, "application/json"):
		said := cut(oneLine(string(head)), 120)
		if msg := serverMessage(nil, head); msg != "" {
			said = msg
		}
		return fmt.Errorf("%w: it is JSON: %s", ErrNotGGUF, said)
	case strings.HasPrefix(text, "ggml"), strings.HasPrefix(text, "lmgg"), strings.HasPrefix(text, "fmgg"), strings.HasPrefix(text, "tjgg"):
		return fmt.Errorf("%w: it is a model in a format older than GGUF: convert it", ErrNotGGUF)
	case len(head) >= 4 && string(head[:4]) == "FUGG":
		return fmt.Errorf("%w: it is a big-endian one", ErrNotGGUF)
	}
	return fmt.Errorf("%w: it begins with %q", ErrNotGGUF, head[:min(len(head), 8)])
}
