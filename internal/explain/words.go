package explain

import (
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
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

// A unit is what the value of a trigger is: messages, a measured number, or replicas of a policy.
type unit struct{ measured, replicas bool }

// unitOf returns the unit of a trigger; messages while nothing was read.
func unitOf(e *pb.Explanation) unit {
	return unit{
		measured: e.GetReading() != nil && e.GetReading().Measured != nil,
		replicas: e.GetTrigger().GetPolicy() != "",
	}
}

// number formats f with as many decimals as KEDA gets: three of a measured number, whose target
// may be below one.
func (u unit) number(f float64) string {
	if u.measured {
		return strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64)
	}
	return number(f)
}

// amount formats f with its unit.
func (u unit) amount(f float64) string {
	switch {
	case u.measured:
		return u.number(f)
	case u.replicas:
		return plural(int64(f), "replica")
	default:
		return messages(f)
	}
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
