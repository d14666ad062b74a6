package main

import "slices"

// auc returns how well one number tells a value of a from one of b: the probability that a random one of a is
// above a random one of b, ties counting half (Mann-Whitney U), turned so that it is at least 0.5.
func auc(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0.5
	}
	sorted := slices.Sorted(slices.Values(b))
	wins := 0.0
	for _, x := range a {
		below, _ := slices.BinarySearch(sorted, x)
		notAbove, _ := slices.BinarySearchFunc(sorted, x, func(y, x float64) int {
			if y <= x {
				return -1
			}
			return 1
		})
		wins += float64(below) + float64(notAbove-below)/2
	}
	share := wins / float64(len(a)*len(b))
	return max(share, 1-share)
}
