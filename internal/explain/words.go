package explain

import (
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// unknown is shown for what the engine cannot tell. It is not zero.
const unknown = "unknown"

func activity(active bool) string {
	if active {
		return "active"
	}
	return "inactive"
}

// number is a number as short as it can be, with at most two decimals.
func number(f float64) string {
	return strconv.FormatFloat(math.Round(f*100)/100, 'f', -1, 64)
}

func integer(n int64) string { return strconv.FormatInt(n, 10) }

func optional(n *int64) string {
	if n == nil {
		return unknown
	}
	return integer(*n)
}

func messages(f float64) string {
	if f == 1 {
		return "1 message"
	}
	return number(f) + " messages"
}

func plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return integer(n) + " " + word + "s"
}

// since is how long ago a moment is.
func since(t *timestamppb.Timestamp, now time.Time) string {
	return age(now.Sub(t.AsTime()).Seconds())
}

// until is how far away a moment is.
func until(t *timestamppb.Timestamp, now time.Time) string {
	return age(t.AsTime().Sub(now).Seconds())
}

// age is a number of seconds, as a person would say it.
func age(seconds float64) string {
	switch seconds = max(0, seconds); {
	case seconds < 9.95:
		return strconv.FormatFloat(seconds, 'f', 1, 64) + " s"
	case seconds < 120:
		return strconv.FormatFloat(seconds, 'f', 0, 64) + " s"
	case seconds < 2*3600:
		return strconv.FormatFloat(math.Floor(seconds/60), 'f', 0, 64) + " min"
	default:
		return strconv.FormatFloat(math.Floor(seconds/3600), 'f', 0, 64) + " h"
	}
}
