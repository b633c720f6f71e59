/* What github.com/go-gl/gl needs of GLX to compile. Ledge loads OpenGL itself and
   never asks through this function, which therefore is defined here and links nothing. */
#ifndef LEDGE_GL_GLX_H
#define LEDGE_GL_GLX_H

typedef unsigned char GLubyte;

static inline void *glXGetProcAddress(const GLubyte *name) {
  (void)name;
  return 0;
}

#endif
