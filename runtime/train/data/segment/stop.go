package segment

import (
	"strings"
	"sync"
	"unicode"
)

// Words that say little by themselves: articles, pronouns, prepositions, conjunctions, auxiliary
// verbs, particles, measure words.
const (
	stopEN = `a about above after again against all also am an and any are aren't as at be because been before being below
between both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each else ever few for from
further had hadn't has hasn't have haven't having he he'd he'll he's her here here's hers herself him himself his how i i'd i'll i'm
i've if in into is isn't it it's its itself just let let's me more most must mustn't my myself no nor not now of off on once only or
other ought our ours ourselves out over own same shall she she'd she'll she's should shouldn't so some such than that that's the
their theirs them themselves then there there's these they they'd they'll they're they've this those through to too under until
up us very was wasn't we we'd we'll we're we've were weren't what what's when where which while who whom whose why will with
won't would wouldn't you you'd you'll you're you've your yours yourself yourselves`
	stopZH = `的 了 和 是 在 也 就 都 而 及 与 或 且 但 但是 可是 不过 然而 因为 所以 因此 由于 如果 假如 要是 虽然 尽管 即使 只要 只有 除非 无论 不管
并 并且 而且 以及 还 还是 又 再 很 太 更 最 非常 十分 比较 已 已经 曾 曾经 正在 将 将要 会 能 可以 可能 应该 应当 要 想 得 地 着 过 吗 呢 吧 啊 呀 哦 嗯 嘛
我 你 您 他 她 它 我们 你们 他们 她们 它们 咱们 自己 大家 这 那 这个 那个 这些 那些 这里 那里 这样 那样 这么 那么 哪 哪个 哪些 哪里 什么 怎么 怎样 怎么样 为什么
谁 多少 几 某 每 各 该 其 其他 其它 另 另外 之 以 于 对 对于 关于 把 被 让 给 从 向 往 到 由 用 按 按照 根据 为 为了 比 跟 同 随 随着 除了 不 没 没有 别
一 一个 一些 一种 一样 个 只 些 种 次 位 条 件 里 上 下 中 内 外 前 后 时 时候 之后 之前 以后 以前 有 有些 来 去 说 做 等 等等 即 则 却 才 便 仍 仍然 依然 甚至 一直 一下 一点 有点 请`
)

var stopWords = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(stopEN + " " + stopZH) {
		m[w] = true
	}
	return m
})

// IsStop reports whether a word says little by itself: a stop word of English or Chinese, in any case
// of letters, or no word at all (punctuation, a number).
func IsStop(word string) bool {
	if !strings.ContainsFunc(word, unicode.IsLetter) {
		return true
	}
	return stopWords()[strings.ReplaceAll(strings.ToLower(word), "’", "'")]
}
