package stream

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"
)

// The mechanisms of SASL.
const (
	Plain    = "PLAIN"
	External = "EXTERNAL"
)

// A Login is how a connection is opened.
type Login struct {
	Mechanism          string
	Username, Password string
	VirtualHost        string
	// Properties describe the client to the server.
	Properties map[string]string
	// Heartbeat is rounded up to seconds.
	Heartbeat time.Duration
}

// An About is what a server says about itself.
type About struct {
	Product, Version, Cluster string
	// Endpoint is where the node listens, as it advertises it.
	Endpoint Endpoint
}

// maxProperties is how many properties of a server are accepted.
const maxProperties = 256

// Open logs in over a connection to a server, within timeout, and owns it. The sequence is
//
//  1. PeerProperties: each side describes itself.
//  2. SaslHandshake: the server names its mechanisms.
//  3. SaslAuthenticate: the client logs in. The server proposes, by Tune, the size of frames and the
//     heartbeat.
//  4. Tune: the client answers with its own.
//  5. Open: the client names the virtual host.
//
// The error wraps ErrProtocol, a Code or one of the connection.
func Open(ctx context.Context, conn net.Conn, timeout time.Duration, login Login) (*Conn, error) {
	c := &Conn{
		conn: conn, in: bufio.NewReader(conn), writing: make(chan struct{}, 1), ended: make(chan struct{}),
		waiting: make(map[uint32]*question), subscribed: make(map[uint8]*question),
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(timeout)) // a closed connection fails next
	err := c.handshake(ctx, login)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{}) // a closed connection fails next
	c.start()
	return c, nil
}

// handshake logs in.
func (c *Conn) handshake(ctx context.Context, login Login) error {
	properties, _, err := c.ask(ctx, commandPeerProperties, func(w *frameWriter) {
		w.count(len(login.Properties))
		for _, name := range slices.Sorted(maps.Keys(login.Properties)) {
			w.text(name)
			w.text(login.Properties[name])
		}
	})
	if err != nil {
		return err
	}
	about, err := texts(properties, commandPeerProperties)
	if err != nil {
		return err
	}
	c.about = About{Product: about["product"], Version: about["version"], Cluster: about["cluster_name"]}
	if err := c.authenticate(ctx, login); err != nil {
		return err
	}
	if err := c.tune(ctx, login.Heartbeat); err != nil {
		return err
	}
	opened, code, err := c.ask(ctx, commandOpen, func(w *frameWriter) { w.text(login.VirtualHost) })
	if err != nil {
		return err
	}
	if code != OK {
		return fmt.Errorf("open the virtual host: %w", code)
	}
	where, err := texts(opened, commandOpen)
	if err != nil {
		return err
	}
	c.about.Endpoint.Host = where["advertised_host"]
	if _, err := fmt.Sscan(where["advertised_port"], &c.about.Endpoint.Port); err != nil || c.about.Endpoint.Host == "" {
		return fmt.Errorf("%w: the server does not say where it listens", ErrProtocol)
	}
	return nil
}

// authenticate logs the user in.
func (c *Conn) authenticate(ctx context.Context, login Login) error {
	offered, _, err := c.ask(ctx, commandSaslHandshake, func(*frameWriter) {})
	if err != nil {
		return err
	}
	known := false
	for range offered.count(2) {
		known = offered.text() == login.Mechanism || known
	}
	if err := offered.err(commandSaslHandshake); err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("log in: %w", MechanismUnknown)
	}
	_, code, err := c.ask(ctx, commandSaslAuthenticate, func(w *frameWriter) {
		w.text(login.Mechanism)
		if login.Mechanism == Plain {
			w.bytes([]byte("\x00" + login.Username + "\x00" + login.Password))
		} else {
			w.bytes(nil)
		}
	})
	if err == nil && code != OK {
		err = fmt.Errorf("log in: %w", code)
	}
	return err
}

// tune answers what the server proposes.
func (c *Conn) tune(ctx context.Context, heartbeat time.Duration) error {
	size, key, err := readHead(c.in)
	if err != nil {
		return err
	}
	body, err := readBody(c.in, size)
	if err != nil {
		return err
	}
	if key != commandTune {
		return fmt.Errorf("%w: %#x in place of Tune", ErrProtocol, key)
	}
	proposed := frameReader{data: body}
	frame, _ := proposed.uint32(), proposed.uint32()
	if err := proposed.err(key); err != nil {
		return err
	}
	if frame == 0 || frame > maxFrame {
		frame = maxFrame
	}
	seconds := uint32((heartbeat + time.Second - 1) / time.Second) //nolint:gosec // a setting
	c.heartbeat = time.Duration(seconds) * time.Second
	var w frameWriter
	w.begin(response | commandTune)
	w.uint32(frame)
	w.uint32(seconds)
	w.end()
	return c.write(ctx, w.data)
}

// ask sends one question of the handshake and waits for the answer.
func (c *Conn) ask(ctx context.Context, key uint16, fill func(*frameWriter)) (*frameReader, Code, error) {
	var w frameWriter
	id := c.next
	c.next++
	w.begin(key)
	w.uint32(id)
	fill(&w)
	w.end()
	if err := c.write(ctx, w.data); err != nil {
		return nil, 0, err
	}
	size, got, err := readHead(c.in)
	if err != nil {
		return nil, 0, err
	}
	body, err := readBody(c.in, size)
	if err != nil {
		return nil, 0, err
	}
	r := &frameReader{data: body}
	if got == commandClose {
		return nil, 0, closedBy(body)
	}
	if got != response|key || r.uint32() != id {
		return nil, 0, fmt.Errorf("%w: %#x in place of the answer to %#x", ErrProtocol, got, key)
	}
	code := Code(r.uint16())
	err = r.err(key)
	return r, code, err
}

// texts reads names and texts. An answer without any is an empty one: that to a refused Open ends there.
func texts(r *frameReader, key uint16) (map[string]string, error) {
	n := r.count(2 + 2)
	if n > maxProperties {
		return nil, fmt.Errorf("%w: %d properties", ErrProtocol, n)
	}
	all := make(map[string]string, n)
	for range n {
		name := r.text()
		all[name] = r.text()
	}
	return all, r.err(key)
}
