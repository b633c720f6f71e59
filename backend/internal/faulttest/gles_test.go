//go:build gles && cgo && !static && linux

package faulttest

import _ "github.com/ledge-run/ledge/backend/gles" // registers the driver

func init() {
	tags = append(tags, "gles")
	drivers = append(drivers, driver{
		name: "gles", reads: true, env: "LEDGE_EGL_LIBRARY", source: "../../gles/testdata/faultyegl.c",
		fails: []string{"fail=%d", "fail=%d code=0x505", "lost=%d code=0x507"},
		hangs: []string{
			"eglInitialize", "eglCreateContext", "eglMakeCurrent", "glGetString", "glBufferData", "glBufferSubData", "glProgramBinary",
			"glUseProgram", "glDispatchCompute", "glFenceSync", "glFlush", "glClientWaitSync", "glMapBufferRange", "glDeleteBuffers", "eglDestroyContext",
		},
	})
}
