/**
 * Java finds null pointers by the signals that they raise, and Go has taken the handlers over: what is Java's must still
 * come to Java. Also what the library refuses, and a listener that throws.
 */
public final class Nulls {
    private int field;

    private static int of(Nulls n) {
        return n.field;
    }

    @SuppressWarnings("try") // closed twice on purpose
    public static void main(String[] args) {
        int caught = 0;
        try (Ledge model = new Ledge(args[0])) {
            for (int i = 0; i < 300_000; i++) { // long enough to be compiled
                try {
                    of(i % 1000 == 999 ? null : new Nulls());
                } catch (NullPointerException e) {
                    caught++;
                }
            }
            model.generate("Once", 3, text -> { });
            try {
                model.generate("Once", 3, text -> { throw new IllegalArgumentException("enough"); });
            } catch (IllegalArgumentException e) {
                System.out.println(e.getMessage());
            }
            model.close();
            try {
                model.generate("Once", 3, text -> { });
            } catch (IllegalStateException e) {
                System.out.println(e.getMessage());
            }
        }
        try {
            new Ledge("/none.gguf");
        } catch (RuntimeException e) {
            System.out.println(e.getMessage());
        }
        System.out.println(caught);
    }
}
