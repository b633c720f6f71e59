package clean

// Mix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014): a permutation of 64-bit words
// after which every bit depends on every bit.
func Mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// Hash is of a string, the same in every process and on every machine, so that what is made of hashes
// is: FNV-1a, mixed.
func Hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return Mix(h)
}
