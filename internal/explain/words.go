package explain

import (
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// unknown stands for numbers that the engine does not report. It is not zero.
const unknown = "unknown"

func activity(active bool) string {
	if active {
		return "active"
	}
	return "inactive"
}

// number formats f with at most two decimals.
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

// since returns the age of t.
func since(t *timestamppb.Timestamp, now time.Time) string {
	return age(now.Sub(t.AsTime()).Seconds())
}

// until returns the time that is left until t.
func until(t *timestamppb.Timestamp, now time.Time) string {
	return age(t.AsTime().Sub(now).Seconds())
}

// age formats seconds in one unit, rounded down from minutes on.
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
