package home

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Answer is the line that stands for what a model wrote for a sentence: that line, or one
// with the intent none and a reply, and why. That is so where a home could not carry the
// line out (Check), where the sentence says what no command can hold, and where the line
// says what the sentence does not: no training sentence is like that, and a model does
// at once what was to be done if it rains.
func Answer(text, line string) (string, error) {
	c, err := Parse(line)
	if err != nil {
		return refusal(text, "That's not something I can do in the house.", "这个家里做不到。"), fmt.Errorf("nothing in a home does this: %w", err)
	}
	if c.Intent == "none" || c.Intent == "query" { // they do no harm
		return line, nil
	}
	read := Normal(text)
	if r := doubtful(read); r != nil {
		return refusal(text, r.en, r.zh), errors.New(r.why)
	}
	if err := said(read, c); err != nil {
		return refusal(text, "I did not quite get that. Once more, please.", "没听清，请再说一遍。"), err
	}
	return line, nil
}

// refusal is the line of none with a reply in the sentence's language.
func refusal(text, en, zh string) string {
	reply := en
	if strings.ContainsFunc(text, isHan) {
		reply = zh
	}
	return Command{Intent: "none", Reply: reply}.String()
}

// reason is why a sentence is no command, and what is replied.
type reason struct{ why, en, zh string }

var (
	condition = &reason{"it is to be done when something happens, and a command is for now or for a time", "I can't wait for that, but do it now or at a time.", "我不能等条件，只能现在做或按时间做。"}
	forbidden = &reason{"it says what is not to be done", "All right, it stays as it is.", "好的，保持不变。"}
	told      = &reason{"it tells what was or is, and asks for nothing", "Nothing to do, then.", "好的，不用做什么。"}
	asked     = &reason{"it asks a question, and not what a device is doing", "That's not something I can tell.", "这个我答不上来。"}
	quoted    = &reason{"it is about words", "That's not something I can do in the house.", "这个家里做不到。"}
	emergency = &reason{"it may be an emergency, for which a home has no command", "I can't help with that. Call for help, please.", "这个我帮不了，请马上求助。"}
	span      = &reason{"it has a time with an end, and a command has one time", "I can't do times with an end, only one time.", "我不会有结束的时间，请只说一个时间。"}
	noDay     = &reason{"it has a day or a repetition that no command can name: tomorrow, every day and days of the week can be", "I only know tomorrow, every day and the days of the week.", "我只认识明天、每天和星期几。"}
	exception = &reason{"it leaves something out, which no command can", "I can't leave anything out. Name what you want, please.", "我不会排除，请直接说要做什么。"}
	noSize    = &reason{"it asks for a step of a size that cannot be told", "Say how much in percent, please.", "请用百分比说要多少。"}
	noTime    = &reason{"there is no such time of day", "There is no such time.", "没有这个时间。"}
	several   = &reason{"it has more than one command", "One thing at a time, please.", "请一次说一件事。"}
	roomAlone = &reason{"it says what room, and not what to do there", "What shall I do there?", "那里要做什么？"}
)

// sign is what a sentence of a reason has.
type sign struct {
	*reason
	hints   string // texts, of which each that it matches has one
	pattern lazy
}

// spare is what looks like a sign of a reason and is none: it is taken out before signs are looked for.
type spare struct {
	*reason
	pattern lazy
}

// doubtful is the reason to doubt that a sentence, as the model reads it, is a command; nil if there is none.
func doubtful(text string) *reason {
	for _, language := range []struct {
		spoken bool
		signs  []sign
		spares []spare
	}{
		{strings.ContainsFunc(text, isLatin), signsEn, sparesEn},
		{strings.ContainsFunc(text, isHan), signsZh, sparesZh},
		{true, signsAny, nil},
	} {
		if !language.spoken {
			continue
		}
		left := map[*reason]string{} // what is left of the text without what is spared
		for _, s := range language.signs {
			if !hinted(text, s.hints) {
				continue
			}
			rest, done := left[s.reason]
			if !done {
				rest = text
				for _, x := range language.spares {
					if x.reason == s.reason {
						rest = x.pattern().ReplaceAllString(rest, "□")
					}
				}
				left[s.reason] = rest
			}
			if s.pattern().MatchString(rest) {
				return s.reason
			}
		}
	}
	return nil
}

// hinted reports whether a text has one of several, separated by bars.
func hinted(text, hints string) bool {
	return slices.ContainsFunc(strings.Split(hints, "|"), func(h string) bool { return strings.Contains(text, h) })
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

func isLatin(r rune) bool { return r >= 'a' && r <= 'z' }
