package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds the wait for what must happen.
const patience = time.Minute

// TestHostileHandshake: answers that make no sense end the handshake, whatever they claim to hold.
func TestHostileHandshake(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key  uint16
		fill func(*frameWriter)
		want error
	}{
		"many properties":   {commandPeerProperties, func(w *frameWriter) { ok(w); w.uint32(1 << 31) }, ErrProtocol},
		"endless text":      {commandPeerProperties, func(w *frameWriter) { ok(w); w.count(1); w.uint16(0x7fff) }, ErrProtocol},
		"negative text":     {commandPeerProperties, func(w *frameWriter) { ok(w); w.count(1); w.uint16(0x8000); w.uint16(0) }, ErrProtocol},
		"no code":           {commandPeerProperties, func(*frameWriter) {}, ErrProtocol},
		"many mechanisms":   {commandSaslHandshake, func(w *frameWriter) { ok(w); w.uint32(1 << 30) }, ErrProtocol},
		"other mechanism":   {commandSaslHandshake, func(w *frameWriter) { ok(w); w.count(1); w.text("EXTERNAL") }, MechanismUnknown},
		"wrong password":    {commandSaslAuthenticate, func(w *frameWriter) { w.uint16(uint16(LoginFailed)) }, LoginFailed},
		"no virtual host":   {commandOpen, func(w *frameWriter) { w.uint16(uint16(VhostDenied)) }, VhostDenied},
		"listens nowhere":   {commandOpen, func(w *frameWriter) { ok(w); w.count(0) }, ErrProtocol},
		"port is no number": {commandOpen, func(w *frameWriter) { ok(w); w.count(1); w.text("advertised_port"); w.text("x") }, ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := serve(t, func(f *fakeServer) { f.login(map[uint16]func(*frameWriter){c.key: c.fill}) })
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestHostileAnswers: an answer that does not fit a question ends the connection, and no number comes of
// it.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	raw := func(key uint16, fill func(*frameWriter)) func(*fakeServer, []byte) {
		return func(f *fakeServer, _ []byte) {
			var w frameWriter
			w.begin(key)
			fill(&w)
			w.end()
			_, _ = f.conn.Write(w.data)
		}
	}
	bytes := func(text string) func(*fakeServer, []byte) {
		return func(f *fakeServer, _ []byte) { _, _ = f.conn.Write([]byte(text)) }
	}
	reply := func(key uint16, fill func(*frameWriter)) func(*fakeServer, []byte) {
		return func(f *fakeServer, question []byte) { f.answer(key, question, fill) }
	}
	stats := func(pairs ...any) func(*frameWriter) {
		return func(w *frameWriter) {
			ok(w)
			w.count(len(pairs) / 2)
			for _, one := range pairs {
				switch v := one.(type) {
				case string:
					w.text(v)
				case int:
					w.uint64(uint64(int64(v)))
				default:
					panic(fmt.Sprintf("a statistic is a name or a number, not %T", v))
				}
			}
		}
	}
	chunk := func(records uint32, first uint64) func(*fakeServer, []byte) {
		return func(f *fakeServer, question []byte) {
			f.answer(commandSubscribe, question, ok)
			raw(commandDeliver, func(w *frameWriter) {
				w.data = append(w.data, 0, 0x50, 0, 0, 1)
				w.uint32(records)
				w.uint64(0)
				w.uint64(1)
				w.uint64(first)
				w.data = append(w.data, make([]byte, 16)...)
			})(f, nil)
		}
	}
	for name, c := range map[string]struct {
		ask Request
		say func(*fakeServer, []byte)
	}{
		"huge frame":         {&StatsQuery{}, bytes("\x7f\xff\xff\xff\x80\x1c\x00\x01")},
		"tiny frame":         {&StatsQuery{}, bytes("\x00\x00\x00\x01\x80\x1c\x00\x01")},
		"huge chunk":         {&StatsQuery{}, bytes("\x7f\xff\xff\xff\x00\x08\x00\x01")},
		"tiny chunk":         {&StatsQuery{}, bytes("\x00\x00\x00\x10\x00\x08\x00\x01")},
		"http":               {&StatsQuery{}, bytes("HTTP/1.1 400 Bad Request\r\n\r\n")},
		"unknown command":    {&StatsQuery{}, raw(0x0042, func(*frameWriter) {})},
		"unknown answer":     {&StatsQuery{}, raw(response|commandStreamStats, func(w *frameWriter) { w.uint32(999); ok(w); w.count(0) })},
		"another question":   {&StatsQuery{}, reply(commandQueryOffset, func(w *frameWriter) { ok(w); w.uint64(7) })},
		"close":              {&StatsQuery{}, raw(commandClose, func(w *frameWriter) { w.uint32(1); w.uint16(0x0d); w.text("unknown frame") })},
		"no statistics":      {&StatsQuery{}, reply(commandStreamStats, stats())},
		"one statistic":      {&StatsQuery{}, reply(commandStreamStats, stats("first_chunk_id", 0))},
		"negative statistic": {&StatsQuery{}, reply(commandStreamStats, stats("first_chunk_id", -2, "committed_chunk_id", 4))},
		"many statistics":    {&StatsQuery{}, reply(commandStreamStats, func(w *frameWriter) { ok(w); w.uint32(1 << 30) })},
		"cut statistics":     {&StatsQuery{}, reply(commandStreamStats, func(w *frameWriter) { ok(w); w.count(1); w.text("first_chunk_id"); w.uint32(0) })},
		"negative offset":    {&OffsetQuery{}, reply(commandQueryOffset, func(w *frameWriter) { ok(w); w.uint64(1 << 63) })},
		"no offset":          {&OffsetQuery{}, reply(commandQueryOffset, ok)},
		"uncalled chunk":     {&OffsetQuery{}, chunk(1, 0)},
		"chunk of nothing":   {&ChunkQuery{}, chunk(0, 0)},
		"chunk far away":     {&ChunkQuery{}, chunk(1, 1<<63)},
		"two chunks":         {&ChunkQuery{}, func(f *fakeServer, q []byte) { chunk(1, 0)(f, q); chunk(1, 1)(f, q) }},
		"no leaders":         {&LeaderQuery{Streams: []string{"a"}}, reply(commandMetadata, func(w *frameWriter) { w.count(0); w.count(0) })},
		"many nodes":         {&LeaderQuery{Streams: []string{"a"}}, reply(commandMetadata, func(w *frameWriter) { w.uint32(1 << 31) })},
		"leader of elsewhere": {&LeaderQuery{Streams: []string{"a"}}, reply(commandMetadata, func(w *frameWriter) {
			w.count(0)
			w.count(1)
			w.text("b")
			w.uint16(1)
			w.uint16(0)
			w.count(0)
		})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := serve(t, func(f *fakeServer) {
				if !f.login(nil) {
					return
				}
				for {
					key, body, err := f.frame()
					if err != nil {
						return
					}
					if key != response|commandTune && key != commandUnsubscribe {
						c.say(f, body)
						break
					}
				}
				f.drain()
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.Do(t.Context(), patience, c.ask); err == nil {
				t.Errorf("answered: %+v", c.ask)
			}
			if conn.Alive() {
				t.Error("the connection goes on")
			}
		})
	}
}

// TestSilence: a call ends with its context, and a server that answers none of two calls, or is silent for
// longer than a limit, loses the connection.
func TestSilence(t *testing.T) {
	t.Parallel()
	silent := func(t *testing.T) *Conn {
		t.Helper()
		conn, err := serve(t, func(f *fakeServer) {
			if f.login(nil) {
				f.drain()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	t.Run("limit", func(t *testing.T) {
		t.Parallel()
		conn := silent(t)
		if err := conn.Do(t.Context(), time.Millisecond, &StatsQuery{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		<-conn.ended
	})
	t.Run("context", func(t *testing.T) {
		t.Parallel()
		conn := silent(t)
		for range 2 {
			if !conn.Alive() {
				t.Error("the connection ended with the first call")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if err := conn.Do(ctx, patience, &StatsQuery{}); err == nil {
				t.Error("answered")
			}
			cancel()
		}
		<-conn.ended
	})
}

// TestLateAnswer: the answer to a call that was given up is not one to the next call.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	late := make(chan struct{})
	conn, err := serve(t, func(f *fakeServer) {
		if !f.login(nil) {
			return
		}
		var questions [][]byte
		for len(questions) < 2 {
			key, body, err := f.frame()
			if err != nil {
				return
			}
			if key == commandQueryOffset {
				questions = append(questions, body)
			}
			if len(questions) == 1 && key == commandQueryOffset {
				close(late)
			}
		}
		for i, question := range questions {
			f.answer(commandQueryOffset, question, func(w *frameWriter) { ok(w); w.uint64(uint64(i + 1)) })
		}
		f.drain()
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-late; cancel() }()
	if err := conn.Do(ctx, patience, &OffsetQuery{Stream: "s", Reference: "r"}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	q := &OffsetQuery{Stream: "s", Reference: "r"}
	if err := conn.Do(t.Context(), patience, q); err != nil || q.Offset != 2 {
		t.Errorf("got %d, %v, want 2", q.Offset, err)
	}
}

// TestChunk: of a chunk the number of messages is taken, and the messages are passed over.
func TestChunk(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	conn, err := serve(t, func(f *fakeServer) {
		if !f.login(nil) {
			return
		}
		for {
			key, body, err := f.frame()
			if err != nil {
				return
			}
			switch key {
			case commandSubscribe:
				f.answer(key, body, ok)
				var w frameWriter
				w.begin(commandDeliver)
				w.data = append(w.data, body[4], 0x50, 0, 0, 1)
				w.uint32(42)
				w.uint64(0)
				w.uint64(1)
				w.uint64(1000)
				w.data = append(w.data, make([]byte, 16+size)...)
				w.end()
				_, _ = f.conn.Write(w.data)
			case commandUnsubscribe:
				f.answer(key, body, ok)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 300 { // more than there are subscriptions
		q := &ChunkQuery{Stream: "s", From: None}
		if err := conn.Do(t.Context(), patience, q); err != nil || q.Chunk == nil || q.Chunk.First != 1000 || q.Chunk.Records != 42 || q.Chunk.Bytes < size {
			t.Fatalf("got %+v, %v", q.Chunk, err)
		}
		if testing.Short() {
			break
		}
	}
}

// FuzzAnswers: no answer makes a request panic, or holds more than the frame.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 1})
	f.Add([]byte(strings.Repeat("\xff", 40)))
	f.Fuzz(func(t *testing.T, data []byte) {
		for key, request := range map[uint16]Request{
			commandQueryOffset: &OffsetQuery{}, commandStreamStats: &StatsQuery{}, commandSubscribe: &ChunkQuery{}, commandMetadata: &LeaderQuery{Streams: []string{"a", "b"}},
		} {
			_ = request.take(response|key, OK, &frameReader{data: data})
		}
		_, _ = texts(&frameReader{data: data}, commandOpen)
		_ = closedBy(data)
		if len(data) >= 8 {
			var w frameWriter
			w.text(string(data))
			if n := binary.BigEndian.Uint16(w.data); int(n) != len(w.data)-2 {
				t.Errorf("a text of %d bytes says %d", len(w.data)-2, n)
			}
		}
	})
}
