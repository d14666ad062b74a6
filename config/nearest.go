package config

// nearest returns the word that was probably meant by name, "" if none is close.
func nearest(name string, words []string) string {
	best, found := 3, "" // three slips are another word
	if len(name) < 4 {
		best = 2
	}
	for _, word := range words {
		if d := distance(name, word); d > 0 && d < best {
			best, found = d, word
		}
	}
	return found
}

// distance counts the letters to add, drop, replace or swap with their neighbour, to make b of a.
func distance(a, b string) int {
	if len(a) > 128 || len(b) > 128 {
		return 128
	}
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
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
