package schedule_test

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// A floor for office hours and a ceiling for the night, seen on a Tuesday evening.
func ExampleSchedule_At() {
	ten, two := int32(10), int32(2)
	s, err := schedule.Parse([]schedule.Spec{
		{Name: "office", TimeZone: "Europe/Berlin", Start: "0 7 * * 1-5", End: "0 20 * * 1-5", Floor: &ten, Ramp: 15 * time.Minute},
		{Name: "night", TimeZone: "Europe/Berlin", Start: "0 22 * * *", Duration: 8 * time.Hour, Ceiling: &two},
	})
	if err != nil {
		fmt.Println(err)
	}
	state := s.At(time.Date(2026, time.November, 24, 22, 0, 0, 0, time.UTC))
	fmt.Println("floor set:", state.Floor.Set())
	fmt.Println("ceiling:", state.Ceiling.Replicas, "by", state.Ceiling.Window)
	fmt.Println("next edge:", state.Next.Window, state.Next.At.UTC().Format("15:04 MST"))
	// Output:
	// floor set: false
	// ceiling: 2 by night
	// next edge: night 05:00 UTC
}
