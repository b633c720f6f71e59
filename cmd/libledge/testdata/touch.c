int touch(void);

int main(void) { return touch(); }
