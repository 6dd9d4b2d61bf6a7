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
	hooks        map[string]func()
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

// Before makes the proxy call do each time before it passes a command on that has the
// two first words, such as "LLEN jobs". The server has answered all that came before
// on that connection by then; do talks to it on another one. It replaces what was to be
// called before that command; nil is nothing.
func (p *Proxy) Before(command string, do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hooks == nil {
		p.hooks = map[string]func(){}
	}
	p.hooks[command] = do
}

func (p *Proxy) hook(words []string) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hooks[strings.Join(words[:min(len(words), 2)], " ")]
}

// An exchange is the state that the two directions of a connection share.
type exchange struct {
	// mu guards what follows; changed is signalled with it.
	mu      sync.Mutex
	changed *sync.Cond
	// waiting is how many commands are not answered, and ended says that none will be.
	waiting int
	ended   bool
	// late are the texts of refusals within a transaction, in their order: the server has to
	// be made to discard it, and answers with a text of its own.
	late []string
	// inside says that a transaction is open; the direction that asks owns it.
	inside bool
}

// settle waits until all commands are answered.
func (c *exchange) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.waiting > 0 && !c.ended {
		c.changed.Wait()
	}
}

// change changes what is known, and says so.
func (c *exchange) change(how func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	how()
	c.changed.Broadcast()
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
			c := &exchange{}
			c.changed = sync.NewCond(&c.mu)
			p.running.Go(func() {
				_ = p.answer(client, server, c)
				c.change(func() { c.ended = true })
				_ = client.Close()
			})
			_ = p.ask(client, server, c)
			_ = server.Close()
			_ = client.Close()
		})
	}
}

// ask passes commands on. One that is refused becomes an ECHO, whose reply answer
// recognises; within a transaction it becomes an ECHO without a text, which spoils it.
func (p *Proxy) ask(client io.Reader, server io.Writer, c *exchange) error {
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
		if do := p.hook(words); do != nil {
			c.settle()
			do()
		}
		text, found := p.refusal(name)
		inside := c.inside
		if !found {
			c.note(strings.ToUpper(words[0]))
		}
		switch {
		case found && text == HangUp:
			return errors.New("hang up")
		case found && text == Silence:
			continue
		case found && inside:
			c.change(func() { c.late = append(c.late, text) })
			raw = []byte("*1\r\n$4\r\nECHO\r\n")
		case found:
			token := refused + text
			raw = fmt.Appendf(nil, "*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", len(token), token)
		}
		c.change(func() { c.waiting++ })
		if _, err := server.Write(raw); err != nil {
			return err
		}
	}
}

// note follows where transactions begin and end.
func (c *exchange) note(command string) {
	switch command {
	case "MULTI":
		c.inside = true
	case "EXEC", "DISCARD":
		c.inside = false
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
func (p *Proxy) answer(client io.Writer, server io.Reader, c *exchange) error {
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
		if bytes.HasPrefix(reply, []byte("-ERR wrong number of arguments for 'echo'")) {
			c.change(func() { reply, c.late = []byte("-"+c.late[0]+"\r\n"), c.late[1:] })
		}
		c.change(func() { c.waiting-- })
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
