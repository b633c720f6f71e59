package source

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Elements whose content is no text to read.
var unread = map[atom.Atom]bool{atom.Script: true, atom.Style: true, atom.Noscript: true, atom.Template: true, atom.Iframe: true,
	atom.Noembed: true, atom.Noframes: true, atom.Svg: true, atom.Math: true, atom.Select: true, atom.Textarea: true, atom.Object: true, atom.Canvas: true}

// Elements of HTML that a slash at the end of their tag does not close: what follows is in them, and no markup. (A title's,
// too, but nobody means a page that is all title.)
var open = map[atom.Atom]bool{atom.Script: true, atom.Style: true, atom.Noscript: true, atom.Iframe: true, atom.Noembed: true,
	atom.Noframes: true, atom.Textarea: true}

// Elements that stand on lines of their own, and those with an empty line around.
var onLines = map[atom.Atom]bool{atom.Br: true, atom.Div: true, atom.Li: true, atom.Tr: true, atom.Dt: true, atom.Dd: true,
	atom.Section: true, atom.Article: true, atom.Header: true, atom.Footer: true, atom.Main: true, atom.Nav: true, atom.Aside: true,
	atom.Figcaption: true, atom.Option: true, atom.Title: true, atom.Hr: true, atom.Form: true, atom.Caption: true}
var apart = map[atom.Atom]bool{atom.P: true, atom.H1: true, atom.H2: true, atom.H3: true, atom.H4: true, atom.H5: true, atom.H6: true,
	atom.Ul: true, atom.Ol: true, atom.Dl: true, atom.Table: true, atom.Pre: true, atom.Blockquote: true, atom.Figure: true, atom.Title: true}

// html reads the text of a page: what a browser would show, without scripts and
// styles, blocks divided by line ends. Menus and advertisements stay in it.
func (r *reader) html() error {
	b, err := io.ReadAll(io.LimitReader(r.in, int64(r.o.max())+1))
	if err != nil {
		return err
	}
	if len(b) > r.o.max() {
		return r.long(0, "page")
	}
	if err := invalid(b); err != nil {
		return r.bad(0, "convert the file to UTF-8, or name its encoding", "the page is not UTF-8")
	}
	name := strings.TrimSuffix(strings.ToLower(r.file.Name), ".gz")
	text, err := pageText(string(b), strings.HasSuffix(name, ".xhtml"))
	if err != nil {
		return r.bad(0, "", "%v", err)
	}
	return r.give(Document{Text: text, Line: 1})
}

// pageText is the text of a page. In XHTML, which the page itself may say it is, a slash at the end of a tag closes any
// element.
func pageText(page string, xhtml bool) (string, error) {
	z := html.NewTokenizer(strings.NewReader(page))
	w := textWriter{}
	var skipping atom.Atom
	depth, pre := 0, 0
	for {
		switch t := z.Next(); t {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return "", err
			}
			return strings.TrimSpace(w.b.String()), nil
		case html.DoctypeToken:
			xhtml = xhtml || strings.Contains(strings.ToLower(string(z.Text())), "xhtml")
		case html.CommentToken:
			xhtml = xhtml || bytes.HasPrefix(z.Raw(), []byte("<?xml "))
		case html.TextToken:
			if skipping == 0 {
				w.text(string(z.Text()), pre > 0)
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			a := atom.Lookup(name)
			if t == html.SelfClosingTagToken {
				// Drawings and formulas in HTML are as XHTML.
				if xhtml || !open[a] || skipping == atom.Svg || skipping == atom.Math {
					z.NextIsNotRawText()
				} else {
					t = html.StartTagToken
				}
			}
			if skipping != 0 {
				if a == skipping && t == html.StartTagToken {
					depth++
				} else if a == skipping && t == html.EndTagToken {
					if depth--; depth == 0 {
						skipping = 0
					}
				}
				continue
			}
			switch {
			case unread[a] && t == html.StartTagToken:
				skipping, depth = a, 1
			case apart[a]:
				w.breakLines(2)
			case onLines[a]:
				w.breakLines(1)
			case a == atom.Td || a == atom.Th:
				w.space()
			}
			if a == atom.Pre && t == html.StartTagToken {
				pre++
			} else if a == atom.Pre && t == html.EndTagToken && pre > 0 {
				pre--
			}
		}
	}
}

// textWriter joins pieces of text: white space becomes one space or what breaks
// ask for.
type textWriter struct {
	b       strings.Builder
	pending int // 0 nothing, 1 a space, 2 and 3 one and two line ends
}

func (w *textWriter) space()           { w.pending = max(w.pending, 1) }
func (w *textWriter) breakLines(n int) { w.pending = max(w.pending, n+1) }
func (w *textWriter) write(word string) {
	if w.b.Len() > 0 {
		w.b.WriteString([]string{"", " ", "\n", "\n\n"}[w.pending])
	}
	w.pending = 0
	w.b.WriteString(word)
}

func (w *textWriter) text(s string, asItIs bool) {
	if asItIs {
		if s != "" {
			w.write(s)
		}
		return
	}
	const white = " \t\r\n\f"
	for s != "" {
		word := s
		if i := strings.IndexAny(s, white); i >= 0 {
			word = s[:i]
		}
		if word != "" {
			w.write(word)
		}
		if s = s[len(word):]; s != "" {
			w.space()
			s = strings.TrimLeft(s, white)
		}
	}
}
