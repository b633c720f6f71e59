"""Ledge in Python, with nothing but ctypes: as much of ledge.h as generate.py needs."""

import ctypes as c


class Error(c.Structure):
    _fields_ = [("size", c.c_size_t), ("code", c.c_int32), ("value", c.c_int32), ("need", c.c_uint64), ("have", c.c_uint64),
                ("message", c.c_char * 1024)]


class Token(c.Structure):
    _fields_ = [("size", c.c_size_t), ("text", c.c_void_p), ("length", c.c_size_t), ("top", c.c_void_p), ("top_count", c.c_size_t),
                ("id", c.c_int32), ("logprob", c.c_float)]


class GenerateOptions(c.Structure):
    _fields_ = [("size", c.c_size_t), ("max_tokens", c.c_int32), ("flags", c.c_uint32), ("temperature", c.c_double),
                ("top_p", c.c_double), ("min_p", c.c_double), ("typical_p", c.c_double), ("repeat_penalty", c.c_double),
                ("frequency_penalty", c.c_double), ("presence_penalty", c.c_double), ("top_k", c.c_int32),
                ("repeat_last_n", c.c_int32), ("seed", c.c_uint64), ("logprobs", c.c_int32), ("reserved", c.c_int32),
                ("stop", c.POINTER(c.c_char_p)), ("stop_count", c.c_size_t), ("logit_bias", c.c_void_p),
                ("logit_bias_count", c.c_size_t), ("tools", c.c_char_p), ("template_vars", c.c_char_p), ("canceller", c.c_void_p)]


TokenCallback = c.CFUNCTYPE(c.c_int, c.POINTER(Token), c.c_void_p)
TEXT = c.c_size_t(-1)  # LEDGE_TEXT


class LedgeError(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Library:
    def __init__(self, path="libledge.so.1"):
        self._lib = c.CDLL(path)

    def call(self, name, *args):
        """Calls a function whose last argument is a ledge_error."""
        error = Error(size=c.sizeof(Error))
        code = getattr(self._lib, name)(*args, c.byref(error))
        if code != 0:
            raise LedgeError(code, error.message.decode("utf-8", "replace"))

    def open(self, path):
        return Model(self, path)


class Handle:
    """A model or a session, for with statements."""

    def __init__(self, lib, make, close, *args):
        self._lib, self._close, self._as_parameter_ = lib, close, c.c_void_p()
        lib.call(make, *args, c.byref(self._as_parameter_))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._lib.call(self._close, self)


class Model(Handle):
    def __init__(self, lib, path):
        super().__init__(lib, "ledge_open", "ledge_model_close", path.encode(), None)

    def session(self):
        return Session(self._lib, "ledge_session_new", "ledge_session_close", self)

    def embed(self, text):
        """The embedding of a text, a list of numbers."""
        data, count = text.encode(), c.c_size_t()
        self._lib.call("ledge_embed", self, data, c.c_size_t(len(data)), None, None, c.c_size_t(0), c.byref(count))
        values = (c.c_float * count.value)()
        self._lib.call("ledge_embed", self, data, c.c_size_t(len(data)), None, values, count, c.byref(count))
        return list(values)


class Session(Handle):
    def generate(self, prompt, show, **options):
        """Continues prompt; show is called with each piece of text, and ends the generation by an exception."""
        o = GenerateOptions()
        self._lib._lib.ledge_generate_options_init(c.byref(o), c.c_size_t(c.sizeof(o)))
        for name, value in options.items():
            if not hasattr(o, name):  # ctypes would take any name
                raise TypeError(f"generate() has no option {name!r}")
            setattr(o, name, value)
        raised = []

        def token(t, _):
            try:
                show(c.string_at(t.contents.text, t.contents.length).decode("utf-8", "replace"))
                return 0
            except BaseException as e:  # must not leave the callback
                raised.append(e)
                return 1

        data = prompt.encode()
        try:
            self._lib.call("ledge_generate", self, data, c.c_size_t(len(data)), c.byref(o), TokenCallback(token), None)
        except LedgeError:
            if raised:
                raise raised[0]
            raise
