package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// podMemory is the memory limit of a pod of the chart, in bytes; GOMEMLIMIT is nine tenths of it.
const podMemory = 256 << 20

// A pod is the built program with the memory of a pod of the chart.
type pod struct {
	*testing.T

	redis      *redistest.Server
	process    *exec.Cmd
	grpc, http string
	client     pb.ExternalScalerClient
}

var buildOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "scaler")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "scaler")
	// The race detector takes many times the memory, so it is built again without it.
	output, err := exec.CommandContext(context.Background(), "go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, output)
	}
	return path, nil
})

// startPod runs "scaler serve" until the test ends.
func startPod(t *testing.T, flags ...string) *pod {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the memory of a process is read from /proc")
	}
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	p := &pod{T: t, redis: redistest.Start(t)}
	config := writeConfig(t, "connections:\n  main:\n    engine: redis\n    namespaces: ['*']\n    addresses: ["+p.redis.Addr()+"]\n")
	p.process = exec.CommandContext(t.Context(), path, append([]string{
		"serve", "--config", config, "--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0",
	}, flags...)...)
	p.process.Env = append(os.Environ(), "GOMEMLIMIT="+strconv.Itoa(podMemory/10*9))
	log, err := p.process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.process.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	addresses := regexp.MustCompile(`msg=serving .* grpc=(\S+) http=(\S+)`)
	for lines.Scan() && p.grpc == "" {
		if found := addresses.FindStringSubmatch(lines.Text()); found != nil {
			p.grpc, p.http = found[1], found[2]
			break
		}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, log)
	}()
	t.Cleanup(func() {
		_ = p.process.Process.Kill()
		<-drained
		_ = p.process.Wait()
	})
	conn, err := grpc.NewClient(p.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p.client = pb.NewExternalScalerClient(conn)
	return p
}

// peak returns the most memory that the process has had of its own so far, in bytes: without the parts
// of the program's file that the system has mapped, about 30 MiB, because it takes these back before a
// pod runs out of memory.
func (p *pod) peak() int {
	p.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.process.Process.Pid))
	if err != nil {
		p.Fatal(err)
	}
	return p.bytes(text, "VmHWM") - p.bytes(text, "RssFile")
}

// bytes returns a field of what /proc says of the process.
func (p *pod) bytes(of []byte, field string) int {
	p.Helper()
	found := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(of)
	if found == nil {
		p.Fatalf("the status of the process has no %s", field)
	}
	kilobytes, err := strconv.Atoi(string(found[1]))
	if err != nil {
		p.Fatal(err)
	}
	return kilobytes << 10
}

// trigger is the n-th of a namespace, with further metadata in pairs.
func (p *pod) trigger(n int, pairs ...string) *pb.ScaledObjectRef {
	metadata := map[string]string{"scalerAddress": "scaler:9090", "connection": "main"}
	for i := 0; i < len(pairs); i += 2 {
		metadata[pairs[i]] = pairs[i+1]
	}
	return &pb.ScaledObjectRef{Namespace: "shop", Name: fmt.Sprintf("worker-%d", n), ScalerMetadata: metadata}
}

// concurrently calls do for each number, a hundred at a time, and returns how often it
// ended with each code.
func (p *pod) concurrently(n int, do func(n int) error) map[codes.Code]int {
	ended := map[codes.Code]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	turns := make(chan struct{}, 100)
	for i := range n {
		turns <- struct{}{}
		all.Go(func() {
			err := do(i)
			<-turns
			mu.Lock()
			defer mu.Unlock()
			ended[status.Code(err)]++
		})
	}
	all.Wait()
	return ended
}

// isActive asks about a trigger.
func (p *pod) isActive(r *pb.ScaledObjectRef) error {
	ctx, cancel := context.WithTimeout(p.Context(), time.Minute)
	defer cancel()
	_, err := p.client.IsActive(ctx, r)
	return err
}

// flood opens a connection that speaks HTTP/2 frame by frame, and sends what each writes
// for one stream, until the server closes the connection or n are sent. Nothing is read.
func (p *pod) flood(n int, each func(framer *http2.Framer, stream uint32) error) net.Conn {
	p.Helper()
	conn, err := (&net.Dialer{}).DialContext(p.Context(), "tcp", p.grpc)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = conn.Close() })
	var header bytes.Buffer
	packer := hpack.NewEncoder(&header)
	framer := http2.NewFramer(conn, bufio.NewReader(conn))
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil || framer.WriteSettings() != nil {
		p.Fatal("greet the server", err)
	}
	if err := conn.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		p.Fatal(err)
	}
	for sent := range n {
		stream := uint32(2*sent + 1)
		header.Reset()
		for _, field := range []hpack.HeaderField{
			{Name: ":method", Value: "POST"},
			{Name: ":scheme", Value: "http"},
			{Name: ":path", Value: "/externalscaler.ExternalScaler/IsActive"},
			{Name: ":authority", Value: "scaler"},
			{Name: "content-type", Value: "application/grpc"},
			{Name: "te", Value: "trailers"},
		} {
			if err := packer.WriteField(field); err != nil {
				p.Fatal(err)
			}
		}
		err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: header.Bytes(), EndHeaders: true})
		if err == nil {
			err = each(framer, stream)
		}
		if err != nil {
			break
		}
	}
	return conn
}

// ends reports whether the server closes a connection soon.
func (p *pod) ends(conn net.Conn) bool {
	p.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		p.Fatal(err)
	}
	_, err := io.Copy(io.Discard, conn)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// TestMemoryStaysBelowTheLimit: in whatever way one namespace, or one client, asks for much,
// the program stays below the memory limit of the chart, and others are served.
func TestMemoryStaysBelowTheLimit(t *testing.T) { //nolint:tparallel // each case wants the whole machine
	t.Parallel()
	message := func(p *pod, r *pb.ScaledObjectRef) []byte {
		encoded, err := proto.Marshal(r)
		if err != nil {
			p.Fatal(err)
		}
		return append([]byte{0, 0, 0, byte(len(encoded) >> 8), byte(len(encoded))}, encoded...)
	}
	cases := map[string]func(p *pod){
		"names of a megabyte": func(p *pod) {
			long := strings.Repeat("n", 1<<20)
			ended := p.concurrently(300, func(n int) error { return p.isActive(p.trigger(n, "list", long)) })
			if ended[codes.ResourceExhausted] != 300 {
				p.Errorf("requests with names of a megabyte ended with %v", ended)
			}
			p.redis.Do("EVAL", "for i = 1, 30 do redis.call('LPUSH', 'long:' .. i .. string.rep('x', 1048576), 'x') end", 0)
			ended = p.concurrently(100, func(n int) error { return p.isActive(p.trigger(n, "list", fmt.Sprintf("long:*,%d", n))) })
			if ended[codes.OK] > 0 {
				p.Errorf("patterns that match keys with names of a megabyte ended with %v", ended)
			}
		},
		"streams": func(p *pod) {
			opened := p.concurrently(20_000, func(n int) error {
				stream, err := p.client.StreamIsActive(p.Context(), p.trigger(n%2000, "list", fmt.Sprintf("jobs:%d", n%2000)))
				if err != nil {
					return err
				}
				_, err = stream.Recv()
				return err
			})
			if opened[codes.OK] != 6000 || opened[codes.ResourceExhausted] != 14_000 {
				p.Errorf("streams ended with %v", opened)
			}
		},
		"queues with history": func(p *pod) {
			refs := make([]*pb.ScaledObjectRef, 100)
			for n := range refs {
				names := make([]string, 990)
				for i := range names {
					names[i] = fmt.Sprintf("queue:%d:%d", n, i)
				}
				refs[n] = p.trigger(n, "list", strings.Join(names, ","), "hold", "1h", "weights", "queue:0:0=2")
			}
			for round := range 15 {
				p.redis.Do("EVAL", "for n = 0, 99 do redis.call('LPUSH', 'queue:' .. n .. ':' .. ARGV[1], 'x') end", 0, round)
				p.concurrently(len(refs), func(n int) error { return p.isActive(refs[n]) })
				time.Sleep(time.Second)
			}
		},
		"matched queues": func(p *pod) {
			p.redis.Do("EVAL", "for i = 1, 10000 do redis.call('LPUSH', 'tenant:' .. i, 'x') end", 0)
			for range 3 {
				ended := p.concurrently(2000, func(n int) error { return p.isActive(p.trigger(n, "list", fmt.Sprintf("tenant:*,%d", n))) })
				if ended[codes.OK] > 10 {
					p.Errorf("triggers of 10,000 queues each ended with %v", ended)
				}
				time.Sleep(time.Second)
			}
		},
		"refused triggers": func(p *pod) {
			value := strings.Repeat("v", 50_000)
			ended := p.concurrently(10_000, func(n int) error { return p.isActive(p.trigger(n, "list", "jobs", "tagret", value)) })
			if ended[codes.InvalidArgument] != 10_000 {
				p.Errorf("refused triggers ended with %v", ended)
			}
		},
		"large triggers": func(p *pod) {
			p.concurrently(2000, func(n int) error {
				names := make([]string, 990)
				for i := range names {
					names[i] = fmt.Sprintf("%s:%d:%d", strings.Repeat("q", 45), n, i)
				}
				return p.isActive(p.trigger(n, "list", strings.Join(names, ",")))
			})
		},
		"requests without a body": func(p *pod) {
			for range 5 {
				if !p.ends(p.flood(100_000, func(*http2.Framer, uint32) error { return nil })) {
					p.Error("100,000 requests without a body were taken on one connection")
				}
			}
			for range 100 {
				p.flood(900, func(*http2.Framer, uint32) error { return nil })
			}
		},
		"requests without an end": func(p *pod) {
			part := append([]byte{0, 0, 1, 0xff, 0xff}, make([]byte, 16<<10-5)...)
			for range 100 {
				p.flood(10_000, func(framer *http2.Framer, stream uint32) error { return framer.WriteData(stream, false, part) })
			}
		},
		"replies that are not read": func(p *pod) {
			whole := message(p, p.trigger(1, "list", "jobs"))
			p.flood(300_000, func(framer *http2.Framer, stream uint32) error { return framer.WriteData(stream, true, whole) })
		},
		"metrics that are not read": func(p *pod) {
			p.concurrently(2000, func(n int) error { return p.isActive(p.trigger(n, "list", fmt.Sprintf("jobs:%d", n))) })
			for range 40 {
				conn, err := (&net.Dialer{}).DialContext(p.Context(), "tcp", p.http)
				if err != nil {
					p.Fatal(err)
				}
				p.Cleanup(func() { _ = conn.Close() })
				_, _ = io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: scaler\r\n\r\n")
			}
		},
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		// One after the other: each wants the whole machine.
		t.Run(name, func(t *testing.T) {
			p := startPod(t)
			p.T = t
			cases[name](p)
			other := p.trigger(0, "list", "jobs")
			other.Namespace = "bank"
			redistest.Eventually(t, "a trigger of another namespace is answered", func() bool { return p.isActive(other) == nil })
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.http+"/readyz", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := (&http.Client{Timeout: time.Minute}).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("the probe is answered %s", response.Status)
			}
			peak := p.peak()
			t.Logf("%d MiB", peak>>20)
			if peak > podMemory {
				t.Errorf("the program had %d MiB, want at most %d", peak>>20, podMemory>>20)
			}
		})
	}
}
