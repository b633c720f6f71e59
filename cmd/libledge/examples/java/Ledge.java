/** Ledge in Java, through JNI: as much of ledge.h as Generate needs. The native half is ledge_jni.c. */
public final class Ledge implements AutoCloseable {
    static {
        System.loadLibrary("ledge_jni");
    }

    /** Told each piece of text; an exception ends the generation and leaves it. */
    public interface Listener {
        void text(byte[] utf8);
    }

    private final long model;

    /** Opens a GGUF file. */
    public Ledge(String path) {
        model = open(path);
    }

    /** Continues a prompt, at most so many tokens, with the most likely one each time. */
    public void generate(String prompt, int maxTokens, Listener listener) {
        generate(model, prompt.getBytes(java.nio.charset.StandardCharsets.UTF_8), maxTokens, listener);
    }

    @Override
    public void close() {
        close(model); // a second time is an error of the library's, and harmless
    }

    private static native long open(String path);

    private static native void generate(long model, byte[] prompt, int maxTokens, Listener listener);

    private static native void close(long model);
}
