package redistest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// HangUp in place of a refusal ends the connection, as a proxy does that cannot read a
// command.
const HangUp = ""

// Silence in place of a refusal leaves a command without an answer.
const Silence = "silence"

// A Proxy stands in front of a server and refuses commands, as managed services and
// proxies do. It reads every command, so that refusals keep their place among replies.
type Proxy struct {
	listener net.Listener
	target   string

	running sync.WaitGroup
	// mu guards what follows. A test sets refusals, old and instead; every connection adds
	// to conns and seen.
	mu           sync.Mutex
	refusals     map[string]string
	old, instead string
	conns        []net.Conn
	seen         []string
	asked        map[string]bool
}

// refused marks the replies that a refusal takes the place of.
const refused = "redistest: refused "

// StartProxy starts a proxy in front of the server at target. Refusals are errors by
// command, such as "INFO" or "CLIENT TRACKING", without the leading dash; HangUp ends the
// connection. It ends with the test.
func StartProxy(t testing.TB, target string, refusals map[string]string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a proxy of the tests
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, target: target, refusals: refusals, asked: map[string]bool{}}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		conns := p.conns
		p.mu.Unlock()
		for _, c := range conns {
			_ = c.Close()
		}
		p.running.Wait()
	})
	return p
}

// Addr is the proxy's "host:port".
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Seen returns the names of the commands that came, in upper case.
func (p *Proxy) Seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

// Asked reports whether a command of two words came, such as "CLIENT TRACKING".
func (p *Proxy) Asked(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[name]
}

// Replace puts instead in the place of old in texts that the server answers.
func (p *Proxy) Replace(old, instead string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.old, p.instead = old, instead
}

// replaced returns a reply with what Replace has set.
func (p *Proxy) replaced(reply []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	header, text, isText := bytes.Cut(reply, []byte("\r\n"))
	if p.old == "" || !isText || header[0] != '$' || !bytes.Contains(text, []byte(p.old)) {
		return reply
	}
	text = bytes.TrimSuffix(bytes.ReplaceAll(text, []byte(p.old), []byte(p.instead)), []byte("\r\n"))
	return fmt.Appendf(nil, "$%d\r\n%s\r\n", len(text), text)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() {
			server, err := net.Dial("tcp", p.target) //nolint:noctx // a proxy of the tests
			if err != nil {
				_ = client.Close()
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, client, server)
			p.mu.Unlock()
			p.running.Go(func() {
				_ = p.answer(client, server)
				_ = client.Close()
			})
			_ = p.ask(client, server)
			_ = server.Close()
			_ = client.Close()
		})
	}
}

// ask passes commands on. One that is refused becomes an ECHO, whose reply answer
// recognises.
func (p *Proxy) ask(client io.Reader, server io.Writer) error {
	from := bufio.NewReader(client)
	for {
		words, raw, err := readCommand(from)
		if err != nil {
			return err
		}
		name := strings.ToUpper(words[0])
		if len(words) > 1 {
			name += " " + strings.ToUpper(words[1])
		}
		text, found := p.refusal(name)
		switch {
		case found && text == HangUp:
			return errors.New("hang up")
		case found && text == Silence:
			continue
		case found:
			token := refused + text
			raw = fmt.Appendf(nil, "*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", len(token), token)
		}
		if _, err := server.Write(raw); err != nil {
			return err
		}
	}
}

// refusal returns how a command is refused that begins with the given words, and notes that
// it came.
func (p *Proxy) refusal(name string) (text string, found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, _, _ := strings.Cut(name, " ")
	p.seen = append(p.seen, first)
	p.asked[name] = true
	if text, found = p.refusals[first]; !found {
		text, found = p.refusals[name]
	}
	return text, found
}

// Refuse replaces the refusals, as StartProxy sets them.
func (p *Proxy) Refuse(refusals map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusals = refusals
}

// Allow ends all refusals.
func (p *Proxy) Allow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusals = nil
}

// answer passes replies back.
func (p *Proxy) answer(client io.Writer, server io.Reader) error {
	from := bufio.NewReader(server)
	for {
		var raw bytes.Buffer
		if err := copyReply(from, &raw); err != nil {
			return err
		}
		reply := p.replaced(raw.Bytes())
		if _, text, found := bytes.Cut(reply, []byte(refused)); found {
			reply = append([]byte("-"), text...)
		}
		if _, err := client.Write(reply); err != nil {
			return err
		}
	}
}

// readCommand reads an array of texts.
func readCommand(from *bufio.Reader) (words []string, raw []byte, err error) {
	var all bytes.Buffer
	n, err := readHeader(from, &all)
	if err != nil {
		return nil, nil, err
	}
	for range n {
		size, err := readHeader(from, &all)
		if err != nil {
			return nil, nil, err
		}
		text := make([]byte, size+2)
		if _, err := io.ReadFull(from, text); err != nil {
			return nil, nil, err
		}
		all.Write(text)
		words = append(words, string(text[:size]))
	}
	if len(words) == 0 {
		return nil, nil, errors.New("a command without words")
	}
	return words, all.Bytes(), nil
}

// copyReply copies one reply of RESP2.
func copyReply(from *bufio.Reader, to *bytes.Buffer) error {
	begin, err := from.Peek(1)
	if err != nil {
		return err
	}
	kind := begin[0]
	if kind != '$' && kind != '*' {
		line, err := from.ReadBytes('\n')
		to.Write(line)
		return err
	}
	n, err := readHeader(from, to)
	switch {
	case err != nil || n < 0:
		return err
	case kind == '$':
		_, err = io.CopyN(to, from, int64(n)+2)
		return err
	}
	for range n {
		if err := copyReply(from, to); err != nil {
			return err
		}
	}
	return nil
}

// readHeader reads a line such as "*3", and returns its number.
func readHeader(from *bufio.Reader, to *bytes.Buffer) (int, error) {
	line, err := from.ReadBytes('\n')
	if err != nil {
		return 0, err
	}
	to.Write(line)
	return strconv.Atoi(string(bytes.TrimSpace(line[1:])))
}
