package home

import "testing"

func TestPrompt(t *testing.T) {
	for text, want := range map[string]string{
		"turn it on":                 "turn it on\n",
		"  turn\tit\r\n on\u3000now": "turn it on now\n",
		"把灯打开。":                      "把灯打开\n",
	} {
		if got := Prompt(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestWithoutReply(t *testing.T) {
	whole := Command{Intent: "on", Device: "light", Room: "kitchen", Reply: `It is "on", now.`}
	line, bare := whole.String(), Command{Intent: "on", Device: "light", Room: "kitchen"}.String()
	for n := len(line); n >= len(bare)-1+len(`,"reply":`); n-- {
		if got, ok := WithoutReply(line[:n]); !ok || got != bare {
			t.Fatalf("%s: %s", line[:n], got)
		}
	}
	if _, ok := WithoutReply(bare); ok {
		t.Error("a line without a reply has lost one")
	}
	if c, err := Parse(None); err != nil || c != (Command{Intent: "none"}) {
		t.Error(c, err)
	}
}
