package keyscan

// globMatch reports whether a pattern of SCAN matches a key, as the server does: by bytes,
// with stars, question marks, and sets of bytes in brackets without ranges. It allocates
// nothing. Steps is what it cost: at most the product of the lengths.
func globMatch(pattern, key string) (matches bool, steps int) {
	// star is the place behind the last star, and tried how much it stands for so far.
	star, tried := -1, 0
	i, j := 0, 0
	for j < len(key) {
		steps++
		if i < len(pattern) && pattern[i] == '*' {
			i++
			if i == len(pattern) {
				return true, steps
			}
			star, tried = i, j
			continue
		}
		size, fits := globOne(pattern[i:], key[j])
		switch {
		case fits:
			i += size
			j++
		case star >= 0:
			tried++
			i, j = star, tried
		default:
			return false, steps
		}
	}
	for i < len(pattern) && pattern[i] == '*' {
		i++
	}
	return i == len(pattern), steps
}

// globOne returns how long the first element of a pattern is, which is no star, and whether
// a byte fits it.
func globOne(pattern string, b byte) (size int, fits bool) {
	if pattern == "" {
		return 0, false
	}
	switch pattern[0] {
	case '?':
		return 1, true
	case '\\':
		if len(pattern) > 1 {
			return 2, pattern[1] == b
		}
	case '[':
		for i := 1; i < len(pattern); i++ {
			if pattern[i] == ']' {
				return i + 1, fits
			}
			fits = fits || pattern[i] == b
		}
		return len(pattern), fits
	}
	return 1, pattern[0] == b
}
