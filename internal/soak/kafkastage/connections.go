package kafkastage

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// established returns how many connections to addresses are open: a broker does not list those of
// its clients. See proc_net_tcp(5): the third field is the remote end, and state 01 is established.
func established(addresses []string) (n int, ok bool) {
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0, false
	}
	ports := map[string]bool{}
	for _, address := range addresses {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return 0, false
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			return 0, false
		}
		ports[fmt.Sprintf("%04X", number)] = true
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != "01" {
			continue
		}
		if _, port, _ := strings.Cut(fields[2], ":"); ports[port] {
			n++
		}
	}
	return n, true
}
