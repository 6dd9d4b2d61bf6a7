package childprocess_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// portsVariable makes this program print as many ports as it says, and own them until its input ends.
const portsVariable = "CHILDPROCESS_TEST_PORTS"

// ownPorts is the program of TestFreePortsOfOtherProcesses. It returns the exit code.
func ownPorts() int {
	n, err := strconv.Atoi(os.Getenv(portsVariable))
	if err != nil {
		return 1
	}
	ports, err := childprocess.FreePorts("127.0.0.1", n)
	if err != nil {
		return 1
	}
	if _, err := fmt.Fprintln(os.Stdout, ports); err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// No port is returned twice, neither by several goroutines nor by several processes, and none is one that the
// system gives to outgoing connections.
func TestFreePortsOfOtherProcesses(t *testing.T) {
	t.Parallel()
	const processes, each = 4, 120 // more than a block each
	owners := map[int]string{}
	own := func(owner string, ports []int) {
		t.Helper()
		if len(ports) != each {
			t.Errorf("%s owns %d ports, want %d", owner, len(ports), each)
		}
		for _, port := range ports {
			if other := owners[port]; other != "" {
				t.Errorf("port %d is of %s and of %s", port, other, owner)
			}
			owners[port] = owner
			if port >= 32768 {
				t.Errorf("port %d of %s is one of outgoing connections", port, owner)
			}
		}
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i := range processes {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program) // ends with its input
		cmd.Env = append(os.Environ(), portsVariable+"="+strconv.Itoa(each))
		input, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		output, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = input.Close()
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
		line, err := bufio.NewReader(output).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var ports []int
		for text := range strings.FieldsSeq(strings.Trim(line, "[]\n")) {
			port, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			ports = append(ports, port)
		}
		own(fmt.Sprintf("process %d", i), ports)
	}
	found := make(chan []int)
	for range 2 {
		go func() {
			ports, err := childprocess.FreePorts("127.0.0.1", each)
			if err != nil {
				t.Error(err)
			}
			found <- ports
		}()
	}
	own("one goroutine", <-found)
	own("another goroutine", <-found)
}

func TestFreePortsSkipTaken(t *testing.T) {
	t.Parallel()
	ports, err := childprocess.FreePorts("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	// The ports after it are mostly the next ones of the same process: take some of them.
	taken := map[int]bool{}
	for port := ports[0] + 1; port < ports[0]+10; port++ {
		if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			t.Cleanup(func() { _ = l.Close() })
			taken[port] = true
		}
	}
	next, err := childprocess.FreePorts("127.0.0.1", 60)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range next {
		if taken[port] {
			t.Errorf("port %d is returned, and a program listens there", port)
		}
	}
}

func TestFreePortsOfAnotherMachine(t *testing.T) {
	t.Parallel()
	// An address for documentation, which no machine has: RFC 5737.
	if ports, err := childprocess.FreePorts("192.0.2.1", 1); err == nil || !strings.Contains(err.Error(), "192.0.2.1") {
		t.Errorf("got %v, %v, want an error about 192.0.2.1", ports, err)
	}
}
