// Package distance makes a server seem to be far away, and counts the round trips to it.
package distance

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// oneWay is how long bytes take through a distance.
const oneWay = 10 * time.Millisecond

// RoundTrip is how long a client waits for an answer at least.
const RoundTrip = 2 * oneWay

// A Distance is a server that seems to be far away: every byte arrives late, and any number of them is under way. It
// counts round trips: what a client sends within one of them cannot depend on an answer to the first of it, and is
// the same round trip.
type Distance struct {
	// Address is where clients find the server.
	Address  string
	listener net.Listener
	tasks    sync.WaitGroup

	// mu guards what follows: connections come and go while others are closed, and each counts.
	mu     sync.Mutex
	trips  int
	began  time.Time // of the last round trip
	target string
	conns  map[net.Conn]struct{}
	closed bool
}

// Listen listens for clients, until Close. The caller says where the server is.
func Listen() (*Distance, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // binding a local port cannot block
	if err != nil {
		return nil, fmt.Errorf("listen in place of a server: %w", err)
	}
	d := &Distance{Address: listener.Addr().String(), listener: listener, conns: make(map[net.Conn]struct{})}
	d.tasks.Go(d.accept)
	return d, nil
}

// To names the server.
func (d *Distance) To(target string) *Distance {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target = target
	return d
}

// sent notes that clients send something.
func (d *Distance) sent() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); now.Sub(d.began) >= RoundTrip {
		d.trips, d.began = d.trips+1, now
	}
}

// During returns how many round trips do takes.
func (d *Distance) During(do func() error) (trips int, err error) {
	d.mu.Lock()
	// What was sent before is another round trip.
	before := d.trips
	d.began = time.Time{}
	d.mu.Unlock()
	err = do()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trips - before, err
}

// Close ends all connections.
func (d *Distance) Close() error {
	d.mu.Lock()
	d.closed = true
	for conn := range d.conns {
		_ = conn.Close() // what is under way is not needed
	}
	d.mu.Unlock()
	err := d.listener.Close()
	d.tasks.Wait()
	return err
}

func (d *Distance) accept() {
	for {
		client, err := d.listener.Accept()
		if err != nil {
			return // the listener is closed
		}
		d.tasks.Go(func() { d.serve(client) })
	}
}

// serve connects a client with the server.
func (d *Distance) serve(client net.Conn) {
	d.mu.Lock()
	target := d.target
	d.mu.Unlock()
	server, err := net.Dial("tcp", target) //nolint:noctx // a server of this machine answers at once
	if err != nil {
		_ = client.Close()
		return
	}
	if d.hold(client, server) == nil {
		var back sync.WaitGroup
		back.Go(func() { carry(client, server, func() {}) })
		carry(server, client, d.sent)
		back.Wait()
	}
	d.release(client, server)
}

// errGone is a connection that comes when all are closed.
var errGone = errors.New("the distance is closed")

func (d *Distance) hold(conns ...net.Conn) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errGone
	}
	for _, conn := range conns {
		d.conns[conn] = struct{}{}
	}
	return nil
}

func (d *Distance) release(conns ...net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range conns {
		delete(d.conns, conn)
		_ = conn.Close() // one end is gone, and the other one has to go
	}
}

// A parcel is bytes that are due at a time.
type parcel struct {
	due   time.Time
	bytes []byte
}

// carry brings the bytes of one connection to another one, late, until either ends. Then it ends both. sent is called
// before any bytes are brought.
func carry(to, from net.Conn, sent func()) {
	parcels := make(chan parcel, 1024)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(parcels)
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			sent()
			parcels <- parcel{time.Now().Add(oneWay), append([]byte(nil), buffer[:n]...)}
		}
	})
	late := time.NewTimer(0)
	defer late.Stop()
	var err error
	for p := range parcels {
		late.Reset(time.Until(p.due))
		<-late.C
		if err == nil {
			if _, err = to.Write(p.bytes); err != nil {
				_ = from.Close() // ends the reading
			}
		}
	}
	_ = to.Close()
	reading.Wait()
}
