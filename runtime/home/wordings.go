package home

import "strings"

// wordings are what people often say or type in a way that no training sentence has: the
// model would do the contrary, or what was only asked about.
var wordings = []clockRule{
	{" of", re(`\b(turn|switch|shut) of (the|that|this|my|our|all|every|it)\b`), nothing, nothing, func(g []string) string { return g[1] + " off " + g[2] }},
	{" of", re(`\b((?:turn|switch) (?:the|that|my|all) [a-z ]{2,25}) of$`), nothing, nothing, func(g []string) string { return g[1] + " off" }},
	{"have you ", re(`^((?:[a-z]+,? )?)have you (?:already )?(turn|switch|open|lock|unlock|start)ed\b`), nothing, nothing, func(g []string) string { return g[1] + "did you " + g[2] }},
	{"have you ", re(`^((?:[a-z]+,? )?)have you (?:already )?(closed|stopped|shut|set)\b`), nothing, nothing, func(g []string) string {
		return g[1] + "did you " + strings.NewReplacer("closed", "close", "stopped", "stop").Replace(g[2])
	}},
	{"如果|要是", re(`(?:如果|要是)[你您]?(?:现在)?(?:可以|方便|不麻烦|不介意|有空|有时间|不忙)(?:的话)?,? ?(请|把|帮|关|开|打开|调)`), nothing, nothing, func(g []string) string { return g[1] }},
}
