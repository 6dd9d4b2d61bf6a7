package program

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// established is the state of a connection in /proc/net/tcp: TCP_ESTABLISHED of the kernel's tcp_states.h.
const established = "01"

// ConnectionsTo returns how many TCP connections the server holds to the "host:port" addresses, as the kernel lists
// them: https://docs.kernel.org/networking/proc_net_tcp.html.
func (s *Server) ConnectionsTo(addresses ...string) (n int, err error) {
	ports := make(map[string]bool)
	for _, address := range addresses {
		parsed, err := netip.ParseAddrPort(address)
		if err != nil {
			return 0, fmt.Errorf("count connections: %w", err)
		}
		ports[fmt.Sprintf("%04X", parsed.Port())] = true
	}
	process := "/proc/" + strconv.Itoa(s.PID())
	sockets, err := filepath.Glob(filepath.Join(process, "fd", "*"))
	if err != nil {
		return 0, fmt.Errorf("count connections: %w", err)
	}
	own := make(map[string]bool)
	for _, file := range sockets {
		if target, err := os.Readlink(file); err == nil { // else it has been closed meanwhile
			own[target] = true
		}
	}
	for _, name := range []string{"tcp", "tcp6"} {
		table, err := os.ReadFile(filepath.Join(process, "net", name))
		if err != nil {
			return 0, fmt.Errorf("count connections: %w", err)
		}
		lines := bufio.NewScanner(bytes.NewReader(table))
		for lines.Scan() {
			// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != established || !own["socket:["+fields[9]+"]"] {
				continue
			}
			if _, port, _ := strings.Cut(fields[2], ":"); ports[port] {
				n++
			}
		}
	}
	return n, nil
}
