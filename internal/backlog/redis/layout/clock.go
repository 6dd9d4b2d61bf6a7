package layout

import (
	"math"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A Clock is what a score means: how many of its units are one millisecond. Units below a
// millisecond distinguish members of the same millisecond.
type Clock float64

// The usual clocks: Unix times in seconds and in milliseconds.
const (
	Seconds      Clock = 1e-3
	Milliseconds Clock = 1
)

// Due returns the highest score that is due at the moment now.
func (k Clock) Due(now time.Time) string {
	if k > 1 {
		// All members of this millisecond are due.
		return strconv.FormatFloat(float64(now.UnixMilli())*float64(k)+float64(k)-1, 'f', -1, 64)
	}
	return strconv.FormatFloat(float64(now.UnixMicro())/1000*float64(k), 'f', -1, 64)
}

// Time returns the moment that a score stands for; zero for one outside of any time that
// matters, such as infinity.
func (k Clock) Time(score float64) time.Time {
	ms := score / float64(k)
	if k > 1 {
		ms = math.Floor(ms)
	}
	// Up to the year 9999.
	if math.IsNaN(ms) || ms <= 0 || ms > 253402300799e3 {
		return time.Time{}
	}
	// Rounded up, so that the member is due when the moment has come.
	return time.UnixMicro(int64(math.Ceil(ms * 1000)))
}

// Parse returns the moment that the text of a score stands for. A text that is no score is an
// error of the decoder.
func (k Clock) Parse(c *resp.Decoder, text string) time.Time {
	value, err := resp.Score(text)
	if err != nil {
		c.Fail(err)
	}
	return k.Time(value)
}
