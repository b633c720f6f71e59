/** Continues a text: java -Djava.library.path=FOLDER Generate MODEL PROMPT */
public final class Generate {
    public static void main(String[] args) {
        if (args.length != 2) {
            System.err.println("usage: Generate MODEL PROMPT");
            System.exit(2);
        }
        try (Ledge model = new Ledge(args[0])) {
            model.generate(args[1], 32, text -> {
                System.out.write(text, 0, text.length);
                System.out.flush();
            });
            System.out.println();
        } catch (RuntimeException e) {
            System.err.println("Generate: " + e.getMessage());
            System.exit(1);
        }
    }
}
