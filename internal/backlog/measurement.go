package backlog

import (
	"fmt"
	"math"
	"strconv"
)

// maxMilli bounds a Measurement, so that sums of many do not overflow: 2^53 thousandths, up to
// which each is a float64 too.
const maxMilli = 1 << 53

// A Measurement is a number that an engine measures, such as a ratio or a rate, where other
// engines count messages. The zero value is unknown.
type Measurement struct {
	// Milli is the number in thousandths.
	Milli int64
	Known bool
}

// Measured returns a number as a Measurement, rounded to a thousandth. A number above zero never
// becomes zero. NaN, infinity and more than 9e12 are errors that wrap ErrMismatch.
func Measured(number float64) (Measurement, error) {
	milli := math.Round(number * 1000)
	if math.IsNaN(milli) || math.Abs(milli) > maxMilli {
		return Measurement{}, fmt.Errorf("%w: %s is not a number that can be scaled by", ErrMismatch, strconv.FormatFloat(number, 'g', 6, 64))
	}
	if milli == 0 && number > 0 {
		milli = 1
	}
	return Measurement{Milli: int64(milli), Known: true}, nil
}

// Float returns the number; 0 if it is unknown.
func (m Measurement) Float() float64 { return float64(m.Milli) / 1000 }

// String returns the number in decimal, such as "0.93"; "unknown" if it is.
func (m Measurement) String() string {
	if !m.Known {
		return "unknown"
	}
	return strconv.FormatFloat(m.Float(), 'f', -1, 64)
}
