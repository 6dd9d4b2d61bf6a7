package distance

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestDistance: answers through a distance come late, and what depends on an answer is another round trip.
func TestDistance(t *testing.T) {
	t.Parallel()
	far, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := far.Close(); err != nil {
			t.Error(err)
		}
	}()
	far.To(echo(t))
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", far.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	trips, err := far.During(func() error {
		for range 3 {
			// Its parts belong together, however they arrive.
			if err := ask(conn, "one", "two"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || trips < 3 {
		t.Errorf("3 questions take %d round trips (%v), want at least 3", trips, err)
	}
	if took := time.Since(began); took < 3*RoundTrip || trips > int(took/RoundTrip) {
		t.Errorf("3 questions take %s and %d round trips of %s", took, trips, RoundTrip)
	}
	if trips, err := far.During(func() error { return nil }); trips != 0 || err != nil {
		t.Errorf("nothing takes %d round trips, %v", trips, err)
	}
}

// ask sends the parts of a question and waits for all of them to come back.
func ask(conn io.ReadWriter, parts ...string) error {
	for _, part := range parts {
		if _, err := io.WriteString(conn, part); err != nil {
			return err
		}
	}
	want := strings.Join(parts, "")
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if string(got) != want {
		return errors.New("another answer: " + string(got))
	}
	return nil
}

// echo starts a server that sends back what it receives, and returns its address.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}
