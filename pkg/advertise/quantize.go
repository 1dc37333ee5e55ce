// SPDX-License-Identifier: Apache-2.0

package advertise

// exactUpTo is the largest count that is always advertised as it is: one backend more or less is a tenth of the traffic or
// more there.
const exactUpTo = 10

// maxBackends is the largest count an advertisement has room for.
const maxBackends = 1_000_000

// Quantize is the count of ready backends as it is advertised, given what is advertised now (0 for nothing), so that scaling
// a large service does not churn the whole fleet:
//
//   - up to 10 the count is exact, and so are zero and not zero;
//   - above, the previous value stays while it is off by at most a tenth of the count;
//   - else the count is rounded to the nearest multiple of the largest of 1, 2, 5, 10, 20, 50, ... that is at most a tenth of
//     it, which is off by at most a twentieth, so that the next change is some way off.
//
// So an advertised count is never off by more than a tenth, and of a count that goes to and fro by a twentieth nothing is
// heard.
func Quantize(count, previous int32) int32 {
	count = min(count, maxBackends)
	if count <= exactUpTo {
		return max(count, 0)
	}
	if previous > 0 && previous <= maxBackends && distance(count, previous)*10 <= int64(count) {
		return previous
	}
	step := stepOf(count)
	return (count + step/2) / step * step
}

func distance(a, b int32) int64 { return max(int64(a)-int64(b), int64(b)-int64(a)) }

// stepOf is the largest of 1, 2, 5, 10, 20, 50, ... that is at most a tenth of the count.
func stepOf(count int32) int32 {
	step := int32(1)
	for decade := int32(1); decade <= count/10; decade *= 10 {
		for _, factor := range [...]int32{1, 2, 5} {
			if factor*decade <= count/10 {
				step = factor * decade
			}
		}
	}
	return step
}
