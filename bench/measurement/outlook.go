package measurement

// An Outlook is what a namespace saw in some seconds: how long calls and wake-ups took, in milliseconds, by the second in
// which they began.
type Outlook struct{ Calls, Wakes [][]float64 }

// NewOutlook returns one of so many seconds.
func NewOutlook(seconds int) Outlook {
	return Outlook{Calls: make([][]float64, seconds), Wakes: make([][]float64, seconds)}
}

// Add takes in the seconds of another one.
func (o *Outlook) Add(other Outlook) {
	o.Calls = append(o.Calls, other.Calls...)
	o.Wakes = append(o.Wakes, other.Wakes...)
}

// Tail is the 99th percentile of a second, at the median of the seconds. A stall of the machine spoils some seconds; what
// a neighbour does, it does in most.
func Tail(seconds [][]float64) float64 {
	var tails []float64
	for _, samples := range seconds {
		if len(samples) > 0 {
			tails = append(tails, Quantile(samples, 0.99))
		}
	}
	return Median(tails)
}
