/* What github.com/go-gl/gl needs of EGL to compile with the tag egl. Ledge loads libEGL
   itself and never asks through this function, which therefore is defined here and
   links nothing. */
#ifndef LEDGE_EGL_EGL_H
#define LEDGE_EGL_EGL_H

static inline void *eglGetProcAddress(const char *name) {
  (void)name;
  return 0;
}

#endif
