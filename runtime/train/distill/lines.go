package distill

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// pieceBytes is about how long the lines are that a text is cut into.
const pieceBytes = 1 << 20

// Lines writes a text as lines of JSON with a "text", as training reads them: cut where
// paragraphs end, about every megabyte. The file appears when it is whole.
func Lines(text, path string) (err error) {
	in, err := os.Open(text)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temp := path + ".part"
	out, err := os.Create(temp)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = out.Close()     // again, perhaps
			_ = os.Remove(temp) // nothing better to do on failure
		}
	}()
	if err := writeLines(out, in); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

func writeLines(to io.Writer, from io.Reader) error {
	in, out := bufio.NewReaderSize(from, 1<<16), bufio.NewWriter(to)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	var piece strings.Builder
	pieces := 0
	flush := func() error {
		text := piece.String()
		piece.Reset()
		if strings.TrimSpace(text) == "" {
			return nil
		}
		if !utf8.ValidString(text) {
			return errors.New("it is not UTF-8")
		}
		pieces++
		return enc.Encode(struct {
			Text string `json:"text"`
		}{text})
	}
	for {
		line, err := in.ReadString('\n')
		piece.WriteString(line)
		blank := strings.TrimSpace(line) == ""
		if piece.Len() >= pieceBytes && blank || piece.Len() >= 16*pieceBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if pieces == 0 {
		return errors.New("it has no text")
	}
	return out.Flush()
}
