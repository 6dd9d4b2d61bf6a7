package redistest

import (
	"fmt"
	"strings"
)

// Info returns a number of a section of the server's INFO, such as total_connections_received,
// or of a line "name:calls=3,..." of it. It is 0 if there is no such line.
func (s *Server) Info(section, name string) int {
	s.t.Helper()
	text, _ := s.Do("INFO", section).(string)
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if key != name {
			continue
		}
		value = strings.TrimPrefix(value, "calls=")
		n := 0
		_, _ = fmt.Sscanf(value, "%d", &n)
		return n
	}
	return 0
}
