// Package nearest finds which of the known words a mistyped one may mean: commands,
// flags and keys of files.
package nearest

import "strings"

// Hint gives ", did you mean X?" if one of the names is near to the word.
func Hint(word string, names []string) string {
	best, least := "", 1+len(word)/3
	for _, n := range names {
		d := distance(strings.ToLower(word), n)
		if d < len(word) && (d < least || d == least && best == "") {
			best, least = n, d
		}
	}
	if best == "" {
		for _, n := range names {
			if len(strings.Trim(word, "-")) > 1 && strings.HasPrefix(n, word) {
				best = n
				break
			}
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// distance is the number of letters to insert, remove, replace or swap with
// their neighbour that turn a into b (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
