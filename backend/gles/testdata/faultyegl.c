/* An EGL library for tests: it hands everything on to the real one, and does one
   call wrong when it is told to. The functions of OpenGL ES that Ledge calls are
   given by eglGetProcAddress, and go through here, too.

   All arguments are integers or pointers, and fit in six registers. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef long (*function)(long, long, long, long, long, long);

#define EGL_FUNCTIONS(X)                                                                       \
  X(eglGetDisplay) X(eglGetPlatformDisplay) X(eglInitialize) X(eglQueryString) X(eglBindAPI)   \
  X(eglChooseConfig) X(eglCreateContext) X(eglDestroyContext) X(eglCreatePbufferSurface)       \
  X(eglDestroySurface) X(eglMakeCurrent) X(eglGetError) X(eglReleaseThread)

#define GL_FUNCTIONS(X)                                                                        \
  X(glGetString) X(glGetStringi) X(glGetIntegerv) X(glGetIntegeri_v) X(glGetInteger64v)        \
  X(glGetError) X(glGenBuffers) X(glBindBuffer) X(glBufferData) X(glGetBufferParameteri64v)    \
  X(glDeleteBuffers) X(glBufferSubData) X(glMapBufferRange) X(glUnmapBuffer)                   \
  X(glMemoryBarrier) X(glCreateProgram) X(glCreateShader) X(glDeleteShader)                    \
  X(glDeleteProgram) X(glProgramBinary) X(glGetProgramiv) X(glGetUniformLocation)              \
  X(glShaderSource) X(glCompileShader) X(glGetShaderiv) X(glGetShaderInfoLog)                  \
  X(glGetProgramInfoLog) X(glProgramParameteri) X(glAttachShader) X(glDetachShader)            \
  X(glLinkProgram) X(glGetProgramBinary) X(glUseProgram) X(glBindBufferBase) X(glUniform1uiv)  \
  X(glDispatchCompute) X(glFenceSync) X(glFlush) X(glDeleteSync) X(glClientWaitSync)           \
  X(glGetGraphicsResetStatusEXT) X(glGetGraphicsResetStatusKHR)

enum { /* every function has a number */
#define NUMBER(name) n_##name,
  EGL_FUNCTIONS(NUMBER) GL_FUNCTIONS(NUMBER) functions
};

static const char *const names[] = {
#define NAME(name) #name,
    EGL_FUNCTIONS(NAME) GL_FUNCTIONS(NAME)};

/* What is to go wrong. */
enum { RIGHT, FAIL, SILENT, LOST, GARBAGE, STUCK };
static long mode, at, code, count, pending, wrong, wild, nan_from, crash_at, dispatches, reads;
static int hang = -1, gpu;

/* faulty_set: from call n on count, and do it wrong: FAIL reports GL's error code
   once, SILENT nothing, LOST fails all later calls, too. GARBAGE gives nonsense for
   whatever is asked. With STUCK nothing that is submitted is ever over. */
void faulty_set(long m, long n, long c) {
  mode = m;
  at = n;
  code = c;
  count = pending = 0;
}

long faulty_count(void) { return count; }

/* faulty_hang: the named function never returns; 0 if it is not known. */
long faulty_hang(const char *name) {
  for (int i = 0; i < functions; i++)
    if (!strcmp(names[i], name)) {
      hang = i;
      return 1;
    }
  return 0;
}

/* fake_control does the same in words, and more; so does the variable LEDGE_FAKE.

   fail=N      call N fails with the error that code= gives (0x502 if nothing is said)
   silent=N    ... without an error
   lost=N      it and all later ones fail
   garbage=N   from call N on, answers are nonsense
   stuck       nothing that is submitted is ever over
   hang=NAME   this function never comes back
   wrong=N     from the Nth on, nothing is dispatched
   wild=N      from the Nth on, memory that is mapped is random
   nan=N       from the Nth on, memory that is mapped has all bits set
   gpu         the renderer does not say that it is software
   crash=N     call N writes to address 0 */
void fake_control(const char *words) {
  char copy[512], *word, *rest = copy;
  faulty_set(RIGHT, 0, 0x502);
  wrong = wild = nan_from = crash_at = dispatches = reads = gpu = 0;
  hang = -1;
  strncpy(copy, words, sizeof copy - 1)[sizeof copy - 1] = 0;
  while ((word = strsep(&rest, " "))) {
    char *value = strchr(word, '=');
    if (value) *value++ = 0;
    long n = value ? strtol(value, 0, 0) : 1;
    if (!strcmp(word, "fail")) mode = FAIL, at = n;
    if (!strcmp(word, "silent")) mode = SILENT, at = n;
    if (!strcmp(word, "lost")) mode = LOST, at = n;
    if (!strcmp(word, "garbage")) mode = GARBAGE, at = n;
    if (!strcmp(word, "stuck")) mode = STUCK;
    if (!strcmp(word, "code")) code = n;
    if (!strcmp(word, "hang") && value) faulty_hang(value);
    if (!strcmp(word, "wrong")) wrong = n;
    if (!strcmp(word, "wild")) wild = n;
    if (!strcmp(word, "nan")) nan_from = n;
    if (!strcmp(word, "gpu")) gpu = 1;
    if (!strcmp(word, "crash")) crash_at = n;
  }
}

long fake_calls(void) { return count; }

__attribute__((constructor)) static void begin(void) {
  const char *words = getenv("LEDGE_FAKE");
  if (words) fake_control(words);
}

static void *egl(void) {
  static void *lib;
  if (!lib) lib = dlopen("libEGL.so.1", RTLD_NOW | RTLD_LOCAL);
  return lib;
}

static function real(int n) {
  static function found[functions];
  if (!found[n]) {
    if (!strncmp(names[n], "egl", 3)) {
      found[n] = (function)dlsym(egl(), names[n]);
    } else {
      void *(*get)(const char *) = (void *(*)(const char *))dlsym(egl(), "eglGetProcAddress");
      found[n] = (function)get(names[n]);
    }
  }
  return found[n];
}

/* garbage replaces an answer; pointers to write to stay within what the caller gave. */
static long garbage(int n, long a, long b, long c, long answer) {
  static char endless[1 << 18];
  static const int ints[] = {-1, 0x7fffffff, 0, (int)0x80000000, 1 << 20, 0x1234567};
  static unsigned turn;
  int v = ints[turn++ % 6];
  switch (n) {
  case n_glGetString: case n_glGetStringi: case n_eglQueryString:
    memset(endless, '\xc3', sizeof endless);
    return (turn & 1) ? (long)endless : 0;
  case n_glGetIntegerv: *(int *)b = v; break;
  case n_glGetIntegeri_v: *(int *)c = v; break;
  case n_glGetProgramiv: case n_glGetShaderiv: *(int *)c = v; break;
  case n_glGetInteger64v: *(long long *)b = (long long)v << (turn & 31); break;
  case n_glGetBufferParameteri64v: *(long long *)c = v; break;
  case n_glGetShaderInfoLog: case n_glGetProgramInfoLog: *(int *)c = v; break;
  case n_glGetProgramBinary: *(int *)c = v; break;
  case n_glGetError: return (turn % 7) ? 0 : v;
  case n_glClientWaitSync: case n_glGetUniformLocation: case n_eglGetError: return v;
  }
  return answer;
}

static long call(int n, long a, long b, long c, long d, long e, long f) {
  if (n == hang)
    for (;;) pause();
  if (n == n_glGetError && pending) {
    long p = pending;
    if (mode != LOST) pending = 0;
    return p;
  }
  if (n != n_glGetError && n != n_eglGetError) {
    if (++count == crash_at) *(volatile int *)0 = 1;
    if (mode != RIGHT && mode != GARBAGE && (count == at || (mode == LOST && count > at))) {
      if (mode != SILENT && !strncmp(names[n], "gl", 2)) pending = code;
      return 0;
    }
  }
  if (mode == STUCK && n == n_glClientWaitSync) return 0x911B;
  function r = real(n);
  if (!r) return 0;
  if (wrong && n == n_glDispatchCompute && ++dispatches >= wrong) return 0;
  long answer = r(a, b, c, d, e, f);
  if (gpu && n == n_glGetString && a == 0x1F01) return (long)"Fake";
  if ((wild || nan_from) && n == n_glMapBufferRange && answer) {
    reads++;
    if (nan_from && reads >= nan_from) memset((void *)answer, 0xff, c);
    for (long i = 0; wild && reads >= wild && i < c; i++) ((unsigned char *)answer)[i] = (unsigned char)rand();
  }
  return mode == GARBAGE && count >= at ? garbage(n, a, b, c, answer) : answer;
}

#define EXPORTED(name)                                                        \
  long name(long a, long b, long c, long d, long e, long f) {                 \
    return call(n_##name, a, b, c, d, e, f);                                  \
  }
EGL_FUNCTIONS(EXPORTED)

#define HIDDEN(name)                                                          \
  static long my_##name(long a, long b, long c, long d, long e, long f) {     \
    return call(n_##name, a, b, c, d, e, f);                                  \
  }
GL_FUNCTIONS(HIDDEN)

void *eglGetProcAddress(const char *name) {
#define FIND(n) if (!strcmp(name, #n)) return (void *)my_##n;
  GL_FUNCTIONS(FIND)
  void *(*get)(const char *) = (void *(*)(const char *))dlsym(egl(), "eglGetProcAddress");
  return get(name);
}
