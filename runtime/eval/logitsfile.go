package eval

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// logitsMagic begins a file of a model's log-probabilities, in the format of
// llama-perplexity --kl-divergence-base: the magic, the chunks' size, the
// vocabulary's and the number of chunks (int32), the chunks' tokens (int32), and for
// each scored position of each chunk a scale and a least log-probability (float32)
// and for every token of the vocabulary a number of 16 bits, so that its
// log-probability is scale*number + least. All little-endian; a position takes an
// even number of numbers.
const logitsMagic = "_logits_"

// maxLogitsTokens bounds the tokens that a file may say it has.
const maxLogitsTokens = 1 << 28

// logitsSpan is how far below the best a logit is still told apart in a file.
const logitsSpan = 16

// LogitsHeader is what a file of log-probabilities begins with.
type LogitsHeader struct {
	Size   int     // tokens of a chunk
	Vocab  int     // log-probabilities of a position
	Chunks int     // in the file
	Tokens []int32 // of all chunks, as the text has them: without BOS in place of the first
}

// scored is how many positions of a chunk are scored: those of its second half, but
// the last, whose next token is in another chunk.
func scored(size int) int { return size - 1 - size/2 }

// words is how many numbers of 16 bits a position takes.
func (h *LogitsHeader) words() int { return (h.Vocab+1)/2*2 + 4 }

// LogitsReader reads a file of log-probabilities.
type LogitsReader struct {
	LogitsHeader
	r   *bufio.Reader
	buf []byte
}

// NewLogitsReader reads a file's header.
func NewLogitsReader(r io.Reader) (*LogitsReader, error) {
	l := &LogitsReader{r: bufio.NewReaderSize(r, 1<<20)}
	head := make([]byte, len(logitsMagic)+12)
	if _, err := io.ReadFull(l.r, head); err != nil || string(head[:len(logitsMagic)]) != logitsMagic {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		return nil, errors.New("it is no file of log-probabilities (of ledge eval --save-logits, or of llama-perplexity --kl-divergence-base)")
	}
	field := func(i int) int { return int(int32(binary.LittleEndian.Uint32(head[len(logitsMagic)+4*i:]))) }
	l.Size, l.Vocab, l.Chunks = field(0), field(1), field(2)
	if l.Size < minChunk || l.Vocab < 1 || l.Vocab > 1<<24 || l.Chunks < 1 || l.Chunks > maxLogitsTokens/l.Size {
		return nil, fmt.Errorf("its header makes no sense: %d chunks of %d tokens with a vocabulary of %d", l.Chunks, l.Size, l.Vocab)
	}
	// The file may be shorter than it says: memory comes as the tokens do.
	buf := make([]byte, 4*l.Size)
	for c := range l.Chunks {
		if _, err := io.ReadFull(l.r, buf); err != nil {
			return nil, cutOff(err, "in the tokens of chunk %d of %d", c+1, l.Chunks)
		}
		for i := 0; i < len(buf); i += 4 {
			t := int32(binary.LittleEndian.Uint32(buf[i:]))
			if t < 0 || int(t) >= l.Vocab {
				return nil, fmt.Errorf("token %d of chunk %d is %d, outside the vocabulary of %d", i/4+1, c+1, t, l.Vocab)
			}
			l.Tokens = append(l.Tokens, t)
		}
	}
	return l, nil
}

func cutOff(err error, where string, args ...any) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the file is cut off "+where, args...)
	}
	return err
}

// Row reads the next position's log-probabilities.
func (l *LogitsReader) Row(dst []float32) error {
	if l.buf == nil {
		l.buf = make([]byte, 2*l.words())
	}
	if _, err := io.ReadFull(l.r, l.buf); err != nil {
		return err
	}
	scale := math.Float32frombits(binary.LittleEndian.Uint32(l.buf))
	least := math.Float32frombits(binary.LittleEndian.Uint32(l.buf[4:]))
	if !(scale >= 0 && scale <= 1) || !(least >= -1e4 && least <= 1e-3) {
		return fmt.Errorf("a scale of %g and a least log-probability of %g make no sense: the file is damaged", scale, least)
	}
	for i := range dst {
		n := binary.LittleEndian.Uint16(l.buf[8+2*i:])
		dst[i] = float32(float32(scale*float32(n)) + least)
	}
	return nil
}

// logitsWriter writes such a file.
type logitsWriter struct {
	LogitsHeader
	w   *bufio.Writer
	buf []byte
}

func newLogitsWriter(w io.Writer, h LogitsHeader) (*logitsWriter, error) {
	l := &logitsWriter{LogitsHeader: h, w: bufio.NewWriterSize(w, 1<<20), buf: make([]byte, 2*h.words())}
	head := []byte(logitsMagic)
	for _, n := range []int{h.Size, h.Vocab, h.Chunks} {
		head = binary.LittleEndian.AppendUint32(head, uint32(n))
	}
	for _, t := range h.Tokens {
		head = binary.LittleEndian.AppendUint32(head, uint32(t))
	}
	_, err := l.w.Write(head)
	return l, err
}

// row writes a position, given its logits and what softmaxOf says of them.
func (l *logitsWriter) row(logits []float32, s softmax) error {
	least := max(s.least, s.best-logitsSpan)
	scale := float32(s.best-least) / 65535
	binary.LittleEndian.PutUint32(l.buf, math.Float32bits(scale))
	binary.LittleEndian.PutUint32(l.buf[4:], math.Float32bits(float32(float64(least)-s.logSum)))
	for i, x := range logits {
		n := uint16(0)
		if x > least && scale > 0 {
			n = uint16(min(math.RoundToEven(float64(x-least)/float64(scale)), 65535))
		}
		binary.LittleEndian.PutUint16(l.buf[8+2*i:], n)
	}
	_, err := l.w.Write(l.buf)
	return err
}
