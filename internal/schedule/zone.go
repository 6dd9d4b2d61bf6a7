package schedule

import (
	_ "embed" // for zones.txt
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// zones are the names of the IANA database, one in a line, from lib/time/zoneinfo.zip of Go. They
// only help to find the name that was meant: a zone that is not among them may exist.
//
//go:embed zones.txt
var zones string

// loadZone returns the zone of a name.
func loadZone(name string) (*time.Location, error) {
	switch name {
	case "":
		return nil, errors.New("timeZone: missing, want a zone of the IANA database such as Europe/Berlin")
	case "Local":
		return nil, errors.New("timeZone \"Local\": the zone of the machine, want a zone of the IANA database such as Europe/Berlin")
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		return zone, nil
	}
	hint := ""
	if near := nearestZone(name); near != "" {
		hint = fmt.Sprintf("; did you mean %s?", near)
	}
	return nil, fmt.Errorf("timeZone %q: unknown, want a zone of the IANA database such as Europe/Berlin%s", name, hint)
}

// nearestZone finds a zone by its name, or by the name of its city alone.
func nearestZone(name string) string {
	names := strings.Fields(zones)
	if near := spelling.Nearest(name, names); near != "" {
		return near
	}
	cities := make([]string, len(names))
	for i, zone := range names {
		cities[i] = zone[strings.LastIndex(zone, "/")+1:]
	}
	city := spelling.Nearest(strings.ReplaceAll(name, " ", "_"), cities)
	for i := range cities {
		if city != "" && cities[i] == city {
			return names[i]
		}
	}
	return ""
}
