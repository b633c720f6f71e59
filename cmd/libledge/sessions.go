//go:build cgo && linux

package main

// #include "calls.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"unsafe"

	"github.com/ledge-run/ledge"
	"github.com/ledge-run/ledge/runtime/chat"
)

// session is an open session.
type session struct {
	m *model
	s *ledge.Session
}

func sessionOf(id C.uintptr_t) (*session, error) {
	v, err := open.get(sessionKind, uintptr(id))
	if err != nil {
		return nil, err
	}
	return v.(*session), nil
}

// name gives a new session of the model a handle, unless the model is closed.
func (m *model) name(s *ledge.Session, id *C.uintptr_t) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		_ = s.Close() // gives nothing but nil
		return ledge.ErrClosed
	}
	n := open.add(sessionKind, &session{m, s})
	m.sessions[n] = true
	*id = C.uintptr_t(n)
	return nil
}

//export ledgego_session_new
func ledgego_session_new(of C.uintptr_t, id *C.uintptr_t, e *C.ledge_error) C.int {
	return call(e, func() error {
		m, err := modelOf(of)
		if err != nil {
			return err
		}
		return m.name(m.m.NewSession(), id)
	})
}

//export ledgego_session_fork
func ledgego_session_fork(from C.uintptr_t, id *C.uintptr_t, e *C.ledge_error) C.int {
	return call(e, func() error {
		s, err := sessionOf(from)
		if err != nil {
			return err
		}
		fork, err := s.s.Fork()
		if err != nil {
			return err
		}
		return s.m.name(fork, id)
	})
}

//export ledgego_session_close
func ledgego_session_close(id C.uintptr_t, e *C.ledge_error) C.int {
	return call(e, func() error {
		v, err := open.take(sessionKind, uintptr(id))
		if err != nil {
			return err
		}
		s := v.(*session)
		s.m.mu.Lock()
		delete(s.m.sessions, uintptr(id))
		s.m.mu.Unlock()
		return s.s.Close()
	})
}

// settings are the options of a generation as the Go API has them, which refuses what is
// out of range.
func settings(o *C.ledge_generate_options) ([]ledge.GenerateOption, error) {
	if o.flags&^(C.LEDGE_SHOW_SPECIAL|C.LEDGE_IGNORE_END) != 0 {
		return nil, argument("the flags %#x are not all known", uint32(o.flags))
	}
	out := []ledge.GenerateOption{
		ledge.MaxTokens(int(o.max_tokens)), ledge.Temperature(float64(o.temperature)), ledge.TopK(int(o.top_k)), ledge.TopP(float64(o.top_p)),
		ledge.MinP(float64(o.min_p)), ledge.TypicalP(float64(o.typical_p)), ledge.RepeatPenalty(float64(o.repeat_penalty), int(o.repeat_last_n)),
		ledge.FrequencyPenalty(float64(o.frequency_penalty)), ledge.PresencePenalty(float64(o.presence_penalty)),
		ledge.Logprobs(int(o.logprobs)),
	}
	if o.seed != C.LEDGE_SEED_RANDOM {
		out = append(out, ledge.Seed(uint64(o.seed)))
	}
	if o.flags&C.LEDGE_SHOW_SPECIAL != 0 {
		out = append(out, ledge.ShowSpecial())
	}
	if o.flags&C.LEDGE_IGNORE_END != 0 {
		out = append(out, ledge.IgnoreEnd())
	}
	if o.stop_count > 0 {
		var stop []string
		for _, p := range unsafe.Slice(o.stop, int(o.stop_count)) {
			stop = append(stop, C.GoString(p))
		}
		out = append(out, ledge.Stop(stop...))
	}
	if o.logit_bias_count > 0 {
		bias := map[int32]float32{}
		for _, b := range unsafe.Slice(o.logit_bias, int(o.logit_bias_count)) {
			bias[int32(b.id)] = float32(b.bias)
		}
		out = append(out, ledge.LogitBias(bias))
	}
	if o.tools != nil {
		var tools []json.RawMessage
		if err := parse("tools", []byte(C.GoString(o.tools)), &tools); err != nil {
			return nil, err
		}
		out = append(out, ledge.Tools(tools...))
	}
	if o.template_vars != nil {
		var vars map[string]any
		if err := parse("template_vars", []byte(C.GoString(o.template_vars)), &vars); err != nil {
			return nil, err
		}
		out = append(out, ledge.TemplateVars(vars))
	}
	return out, nil
}

// parse reads JSON.
func parse(what string, text []byte, to any) error {
	err := json.Unmarshal(text, to)
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return argument("%s: no JSON: %v, at byte %d", what, err, syntax.Offset)
	}
	return argument("%s: %s", what, strings.TrimPrefix(chat.PlainError(err).Error(), "ledge: "))
}

// messagesOf reads a conversation. What it lacks, the Go API says.
func messagesOf(p unsafe.Pointer, length C.size_t) ([]ledge.Message, error) {
	var list []json.RawMessage
	if err := parse("messages", unsafe.Slice((*byte)(p), int(length)), &list); err != nil {
		return nil, err
	}
	if list == nil {
		return nil, argument("messages: it is null, and must be an array")
	}
	messages := make([]ledge.Message, len(list))
	for i, text := range list {
		if err := parse(fmt.Sprintf("messages[%d]", i), text, &messages[i]); err != nil {
			return nil, err
		}
	}
	return messages, nil
}

//export ledgego_generate
func ledgego_generate(id C.uintptr_t, tokens, chat C.int, prompt unsafe.Pointer, length C.size_t,
	o *C.ledge_generate_options, cancel C.uintptr_t, sink *C.ledgego_sink, e *C.ledge_error) C.int {
	return call(e, func() error {
		s, err := sessionOf(id)
		if err != nil {
			return err
		}
		ctx, err := contextOf(cancel)
		if err != nil {
			return err
		}
		opts, err := settings(o)
		if err != nil {
			return err
		}
		var run iter.Seq2[ledge.Token, error]
		switch {
		case tokens != 0: // a copy: the caller's may change in a callback
			run = s.s.GenerateTokens(ctx, append([]int32(nil), arrayOf[int32](prompt, length)...), opts...)
		case chat != 0:
			messages, err := messagesOf(prompt, length)
			if err != nil {
				return err
			}
			run = s.s.Chat(ctx, messages, opts...)
		default:
			run = s.s.Generate(ctx, textOf(prompt, length), opts...)
		}
		return stream(run, sink)
	})
}

// stream hands tokens on.
func stream(run iter.Seq2[ledge.Token, error], sink *C.ledgego_sink) error {
	var top []C.ledge_token_logprob
	for t, err := range run {
		if err != nil {
			return err
		}
		top = top[:0]
		for _, k := range t.Top {
			top = append(top, C.ledge_token_logprob{id: C.int32_t(k.ID), logprob: C.float(k.Logprob)})
		}
		text := (*C.char)(unsafe.Pointer(unsafe.StringData(t.Text)))
		how := C.ledgego_emit_token(sink, C.int32_t(t.ID), C.float(t.Logprob), text, C.size_t(len(t.Text)), unsafe.SliceData(top), C.size_t(len(top)))
		if err := went(sink, how); err != nil {
			return err
		}
	}
	return nil
}

//export ledgego_session_usage
func ledgego_session_usage(id C.uintptr_t, out *C.ledge_usage, e *C.ledge_error) C.int {
	return call(e, func() error {
		s, err := sessionOf(id)
		if err != nil {
			return err
		}
		u := s.s.Usage()
		out.prompt_tokens, out.cached_tokens, out.generated_tokens = C.int32_t(u.PromptTokens), C.int32_t(u.CachedTokens), C.int32_t(u.GeneratedTokens)
		out.prompt_seconds, out.generate_seconds = C.double(u.PromptTime.Seconds()), C.double(u.GenerateTime.Seconds())
		out.seed, out.paused_seconds = C.uint64_t(u.Seed), C.double(u.Paused.Seconds())
		put(out.reason[:], string(u.Reason))
		return nil
	})
}

//export ledgego_session_tokens
func ledgego_session_tokens(id C.uintptr_t, to *C.int32_t, capacity C.size_t, count *C.size_t, e *C.ledge_error) C.int {
	return call(e, func() error {
		s, err := sessionOf(id)
		if err != nil {
			return err
		}
		tokens, err := s.s.Tokens()
		if err != nil {
			return err
		}
		return give(unsafe.Pointer(to), capacity, count, "the tokens", tokens)
	})
}

// numbersContext is for calls without a session.
func numbersContext(id, cancel C.uintptr_t) (*model, context.Context, error) {
	m, err := modelOf(id)
	if err != nil {
		return nil, nil, err
	}
	ctx, err := contextOf(cancel)
	return m, ctx, err
}
