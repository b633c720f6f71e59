package tokenizer_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// corpus returns a varied list of texts, the same on every call.
func corpus() []string {
	var c []string
	add := func(s ...string) { c = append(c, s...) }
	r := rand.New(rand.NewPCG(7, 11))
	pick := func(s []string) string { return s[r.IntN(len(s))] }

	// Scripts and languages.
	add(
		"The quick brown fox jumps over the lazy dog.",
		"Élan vital, naïve façade — coöperate; Ångström & Œuvre, ﬁne ﬂuff.",
		"e\u0301a\u0300o\u0302 versus éàô; Z\u0351a\u0352l\u0353g\u0354o\u0355",
		"Ich weiß, daß die Straße größer ist als ẞ.", "Příliš žluťoučký kůň úpěl ďábelské ódy",
		"Съешь же ещё этих мягких французских булок, да выпей чаю.", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία ΣΊΣΥΦΟΣ",
		"שָׁלוֹם עוֹלָם, איך קוראים לך?", "مَرْحَبًا بِالعَالَم ١٢٣٤٥ كيف حالك؟", "سلام دنیا، نیم\u200Cفاصله می\u200Cخواهم ۴۵۶",
		"नमस्ते दुनिया, क्या हाल है? क्षत्रिय १२३", "ওহে বিশ্ব! কেমন আছো? ১২৩৪", "வணக்கம் உலகம் ௧௨௩", "ನಮಸ್ಕಾರ ಪ್ರಪಂಚ",
		"สวัสดีชาวโลก ๑๒๓๔๕ ภาษาไทยไม่มีช่องว่าง", "ສະບາຍດີຊາວໂລກ", "မင်္ဂလာပါ ကမ္ဘာလောက", "កាន់តែពិសេសអាចខលចេញ",
		"你好,世界!我想在apple工作1314151天～", "繁體中文測試,「引號」與『書名號』、頓號。", "日本語のテキスト、カタカナとひらがな。ｶﾀｶﾅ半角ー",
		"안녕하세요 세계! 한국어 텍스트 123개", "ᄒᆞᆫ글 자모 ㄱㄴㄷ", "ሰላም ልዑል ፩፪፫", "Გამარჯობა მსოფლიო", "Բարեւ աշխարհ",
		"ᚠᛇᚻ᛫ᛒᛦᚦ ⠓⠑⠇⠇⠕ 𐌰𐌱𐌲 𓀀𓀁 𒀀𒀁 𝕳𝖊𝖑𝖑𝖔 𝟙𝟚𝟛", "𠮷野家で𩸽を食べる", "Tiếng Việt: được, nghiêng, ngoằn ngoèo",
		"İstanbul'da ılık ığdır, I ve i; İİ ıı", "Ligature: ĳ Ǆ ǅ ǆ ŉ ſt", "㎏ ㏒ № ℡ ™ © ® ½ ⅓ ² ³ ¹ ₄ Ⅷ ⅷ ① ㊿ 〇",
	)
	// Emoji.
	add("😀😁😂🤣", "👩‍👩‍👧‍👦 family, 👨🏽‍💻 coder, 🏳️‍🌈 flag", "🇩🇪🇫🇷🇯🇵", "✅❌✔️☑️", "1️⃣2️⃣#️⃣", "😶‍🌫️ and 🫠🪿🩷",
		"🚀 (normal) 😶‍🌫️ (multiple emojis concatenated) ✅ (only emoji that has its own token)", "a\u200db\u200cc\u2060d\ufeffe")
	// Contractions and punctuation.
	add("I'm you're he's we've they'll I'd can't", "I'M YOU'RE HE'S WE'VE THEY'LL I'D CAN'T 'S 'T 'Re 'vE", "'tis 'twas rock'n'roll 'em ' s ' t",
		"''''''```````\"\"\"\"......!!!!!!?????? ", "don’t ‘quote’ “double” «guillemets» ‹x›", "a'b'c'd'e'll're've", "$100 +5 <=> ^~|` =<>+$",
		"... ,,, ;;; --- — – ‒ ― ___ *** ### @@@", "(parens) [brackets] {braces} <angles> ⟨math⟩ 「」【】", "hello!world?yes.no,maybe;so:what", "a_b-c.d/e\\f|g",
		"https://user:pw@example.org:8080/a/b?c=d&e=%20f#frag", "mail@example.com, C:\\Windows\\System32 ~/x.y")
	// Numbers.
	for n := 1; n <= 13; n++ {
		add(strings.Repeat("7", n), "x"+strings.Repeat("12", n)+" y")
	}
	add("3.14159 1,234,567.89 1e-10 0xDEADBEEF 0b1010 1_000", "1½ 2² ٣٤٥٦٧ ๑๒๓ 𝟘𝟙𝟚𝟛𝟜", "2026-11-23T18:01:52Z +49 (0)30 123456", "v1.2.3-rc.4", "abc123def456 1a2b3c")
	// White space.
	for n := 1; n <= 20; n++ {
		add(strings.Repeat(" ", n), strings.Repeat(" ", n)+"x", "x"+strings.Repeat(" ", n), "a"+strings.Repeat(" ", n)+"b")
	}
	for n := 1; n <= 6; n++ {
		add(strings.Repeat("\n", n), strings.Repeat("\t", n), strings.Repeat("\r\n", n), "a"+strings.Repeat("\n", n)+"b",
			"a"+strings.Repeat("\t", n)+"b", " "+strings.Repeat("\n ", n)+"z", strings.Repeat("\n", n)+"  indented")
	}
	add("", "\v\f\r", "a\u00a0b\u00a0\u00a0c \u2003d\u3000e\u3000\u3000f\u2028g\u2029h\u0085i\u1680j", " \u00a0 \u2009 x", "\t \t \n \t x", "x \n", "x\n ", "\r\r\n\n\r")
	// Control characters and odd code points.
	add("a\x00b\x01\x02c\x1b[31mred\x1b[0m\x7f", "\u0080\u009f\u00ad\u200b\u200e\u202e\u2066\ufffe\uffff", "\ufffd\U0010ffff\U000e0001\ue000\u0378", "▁ ▁▁ a▁b ▁a", "Ġ Ċ Ġthe ĉ Ń", "<0x0A> <0x00> <0xFF> <0xZZ>")
	// Code and markup.
	add(
		"func main() {\n\tfmt.Println(\"Hello, \\\"世界\\\"\")\n\tfor i := 0; i < 10; i++ {\n\t\tx += i<<2 &^ 0xFF\n\t}\n}\n",
		"def f(x: int = 3) -> str:\n    \"\"\"Doc.\"\"\"\n    return f\"{x!r:>10}\"  # comment\n\n\nclass A(B):\n    pass\n",
		"#include <stdio.h>\r\nint main(void) {\r\n    return a->b ? c : d;\r\n}\r\n",
		"SELECT a.*, COUNT(*) FROM t AS a WHERE x >= 'it''s' GROUP BY 1;\n",
		"<div class=\"a b\"><p>Hi<br/>there</p></div>\n<table><tr><td>1</td></tr></table><!-- c -->",
		"{\"a\": [1, 2.5, null, true], \"b\": {\"c\": \"d\\n\"}}", "| a | b |\n|---|:-:|\n| 1 | 2 |\n\n- [x] item\n    - sub\n\n```go\ncode\n```",
		"let re = /^[a-z]+\\s*(?:\\d{3,}|[^\\r\\n])$/gim;", "if (a&&b||!c) { d ^= ~e; } // ok??", "\\begin{equation} E = mc^{2} \\end{equation} $\\alpha_i$",
	)
	// Special tokens of many models.
	specials := []string{"<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "<unk>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>",
		"<|user|>", "<|assistant|>", "<|end|>", "<|eot_id|>", "<|begin_of_text|>", "[CLS]", "[SEP]", "[MASK]", "<mask>", "<pad>", "<unused7>",
		"<|fim_prefix|>", "<repo_name>", "<file_sep>", "[INST]", "[/INST]", "<｜end▁of▁sentence｜>", "<think>", "</think>", "<tool_call>", "<h1>", "\n\n\n", "▁▁▁", "<|im", "im_end|>", "<", "|>"}
	add("<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\nHi!  <|im_end|>\n<|im_start|>assistant\n",
		"<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n", "<s> [INST] x [/INST] y </s><s>", "<|user|>\nHi<|end|>\n<|assistant|>  ok")
	for range 40 {
		var b strings.Builder
		for range 1 + r.IntN(6) {
			b.WriteString(pick([]string{"", " ", "  ", "\n", "a", "the end", "é", "字"}))
			b.WriteString(pick(specials))
		}
		b.WriteString(pick([]string{"", " ", " x", "\t"}))
		add(b.String())
	}
	// Mixtures.
	bits := []string{" ", " ", " ", "  ", "\n", "\t", "\r\n", "\u00a0", "the", "Hello", "WORLD", "camelCaseWord", "ßtraße", "1", "42", "1234567", "'s", "'LL", "’t",
		"!", "?!", "...", "(", ")", "{", "}", "世界", "こんにちは", "한국", "мир", "العربية", "हिन्दी", "ไทย", "😀", "👍🏽", "e\u0301", "_", "-", "/", "\\", "\"", "'", "#", "$", "=", "<|im_end|>", "<eos>"}
	for range 120 {
		var b strings.Builder
		for range 1 + r.IntN(25) {
			b.WriteString(pick(bits))
		}
		add(b.String())
	}
	for range 60 { // any code points
		var b strings.Builder
		for range 1 + r.IntN(30) {
			limit := []int32{0x80, 0x250, 0x3000, 0x10000, 0x20000, utf8.MaxRune}[r.IntN(6)]
			if x := r.Int32N(limit); utf8.ValidRune(x) {
				b.WriteRune(x)
			}
		}
		add(b.String())
	}
	add(strings.Repeat("abcdefghij", 60), strings.Repeat("长文本没有空格", 40), strings.Repeat("=-", 100), strings.Repeat("aA1 ", 50), strings.Repeat("e\u0301", 50))
	return c
}

// mixedText returns about size bytes of prose, code, several scripts and
// numbers, with words that keep changing.
func mixedText(size int) string {
	r := rand.New(rand.NewPCG(3, 5))
	words := strings.Fields("the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were all her she there would their we him been has when who will no more if out so said what up its about into than them can only other time new some could these two may first then do any like my now over such our man me even most made after also well")
	scripts := []string{"мир и война в городе", "これは日本語の文章です。", "这是一个中文句子，没有空格。", "한국어 문장도 있습니다", "यह हिन्दी वाक्य है", "هذه جملة عربية"}
	var b strings.Builder
	for b.Len() < size {
		switch r.IntN(24) {
		case 0:
			b.WriteString(scripts[r.IntN(len(scripts))])
		case 1:
			fmt.Fprintf(&b, "%d, %.3f", r.IntN(100000), r.Float64()*1000)
		case 2:
			fmt.Fprintf(&b, "\n\tif x%d := call_%s(%d); x%d != nil {\n\t\treturn err\n\t}\n", r.IntN(99), words[r.IntN(len(words))], r.IntN(9), r.IntN(99))
		case 3: // a word not seen before
			for range 3 + r.IntN(8) {
				b.WriteByte(byte('a' + r.IntN(26)))
			}
		case 4:
			b.WriteString([]string{". ", "!\n\n", "? ", "; ", "… ", "'s", " 😀"}[r.IntN(7)])
			continue
		default:
			w := words[r.IntN(len(words))]
			if r.IntN(9) == 0 {
				w = strings.ToUpper(w[:1]) + w[1:]
			}
			b.WriteString(w)
		}
		b.WriteByte(' ')
	}
	return b.String()
}
