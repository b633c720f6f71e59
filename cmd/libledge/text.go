//go:build cgo && linux

package main

// #include "calls.h"
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/ledge-run/ledge"
)

//export ledgego_tokenize
func ledgego_tokenize(id C.uintptr_t, text *C.char, length C.size_t, flags C.uint32_t,
	to *C.int32_t, capacity C.size_t, count *C.size_t, e *C.ledge_error) C.int {
	return call(e, func() error {
		m, err := modelOf(id)
		if err != nil {
			return err
		}
		if flags&^(C.LEDGE_ADD_SPECIAL|C.LEDGE_PARSE_SPECIAL) != 0 {
			return argument("the flags %#x are not all known", uint32(flags))
		}
		tokens := m.m.Tokenize(textOf(unsafe.Pointer(text), length), ledge.TokenizeOptions{
			AddSpecial: flags&C.LEDGE_ADD_SPECIAL != 0, ParseSpecial: flags&C.LEDGE_PARSE_SPECIAL != 0})
		return give(unsafe.Pointer(to), capacity, count, "the tokens", tokens)
	})
}

//export ledgego_detokenize
func ledgego_detokenize(id C.uintptr_t, tokens *C.int32_t, n C.size_t, flags C.uint32_t,
	to *C.char, capacity C.size_t, length *C.size_t, e *C.ledge_error) C.int {
	return call(e, func() error {
		m, err := modelOf(id)
		if err != nil {
			return err
		}
		if flags&^C.LEDGE_PARSE_SPECIAL != 0 {
			return argument("the flags %#x are not all known", uint32(flags))
		}
		ids, vocab := arrayOf[int32](unsafe.Pointer(tokens), n), int32(m.m.Info().Vocab)
		for i, t := range ids {
			if t < 0 || t >= vocab {
				return fmt.Errorf("token %d is %d, outside the vocabulary of %d", i, t, vocab)
			}
		}
		text := m.m.Detokenize(ids, flags&C.LEDGE_PARSE_SPECIAL != 0)
		*length = C.size_t(len(text))
		if to == nil {
			return nil
		}
		if err := room(capacity, len(text)+1, "the text and its zero byte"); err != nil {
			return err
		}
		out := unsafe.Slice((*byte)(unsafe.Pointer(to)), len(text)+1)
		out[copy(out, text)] = 0
		return nil
	})
}

//export ledgego_chat_prompt
func ledgego_chat_prompt(id C.uintptr_t, messages *C.char, length C.size_t, o *C.ledge_generate_options,
	to *C.int32_t, capacity C.size_t, count *C.size_t, e *C.ledge_error) C.int {
	return call(e, func() error {
		m, err := modelOf(id)
		if err != nil {
			return err
		}
		opts, err := settings(o)
		if err != nil {
			return err
		}
		talk, err := messagesOf(unsafe.Pointer(messages), length)
		if err != nil {
			return err
		}
		tokens, err := m.m.ChatPrompt(talk, opts...)
		if err != nil {
			return err
		}
		return give(unsafe.Pointer(to), capacity, count, "the tokens", tokens)
	})
}

//export ledgego_embed
func ledgego_embed(id C.uintptr_t, tokens C.int, in unsafe.Pointer, length C.size_t, cancel C.uintptr_t,
	to *C.float, capacity C.size_t, count *C.size_t, e *C.ledge_error) C.int {
	return call(e, func() error {
		m, ctx, err := numbersContext(id, cancel)
		if err != nil {
			return err
		}
		*count = C.size_t(m.m.Info().Embedding)
		if to == nil {
			return nil // asked only how many there are
		}
		if err := room(capacity, m.m.Info().Embedding, "the values"); err != nil {
			return err // before all the work
		}
		var values []float32
		if tokens != 0 {
			values, err = m.m.EmbedTokens(ctx, append([]int32(nil), arrayOf[int32](in, length)...))
		} else {
			values, err = m.m.Embed(ctx, textOf(in, length))
		}
		if err != nil {
			return err
		}
		return give(unsafe.Pointer(to), capacity, count, "the values", values)
	})
}

//export ledgego_logits
func ledgego_logits(id C.uintptr_t, tokens *C.int32_t, n C.size_t, cancel C.uintptr_t, sink *C.ledgego_sink, e *C.ledge_error) C.int {
	return call(e, func() error {
		m, ctx, err := numbersContext(id, cancel)
		if err != nil {
			return err
		}
		position := 0
		for row, err := range m.m.Logits(ctx, append([]int32(nil), arrayOf[int32](unsafe.Pointer(tokens), n)...)) {
			if err != nil {
				return err
			}
			values := (*C.float)(unsafe.Pointer(unsafe.SliceData(row)))
			if err := went(sink, C.ledgego_emit_logits(sink, C.size_t(position), values, C.size_t(len(row)))); err != nil {
				return err
			}
			position++
		}
		return nil
	})
}
