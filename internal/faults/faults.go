// Package faults causes every fault of a server on every engine while the whole scaler runs, and records
// what KEDA is answered meanwhile and how soon that is right again: the table of docs/faults.md.
package faults

import (
	"strconv"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
)

// A Fault is one of those that servers have, whatever their engine.
type Fault string

// The faults.
const (
	// Absent is a server that cannot be reached when the scaler starts.
	Absent Fault = "down at the start"
	// Down is one that ends later, and comes back with its data.
	Down Fault = "down later"
	// Slow is a network that takes longer, in each direction.
	Slow Fault = "slow"
	// Frozen is a server that accepts connections and answers nothing.
	Frozen Fault = "frozen"
	// Emptied is one that comes back without its data.
	Emptied Fault = "restarted empty"
	// Password is a password that is changed on the server, and later in the file of the scaler.
	Password Fault = "password changed"
	// Permission is the right to read, which is taken and given back.
	Permission Fault = "permission revoked"
	// Failover is a server that ends and that another one replaces.
	Failover Fault = "failover"
	// Flapping is a server that can be reached and cannot, again and again.
	Flapping Fault = "flapping"
	// Halved is a connection that ends in the middle of each reply.
	Halved Fault = "replies cut in half"
	// Hostile is a server that answers something else than what it is asked, without an end.
	Hostile Fault = "hostile replies"
)

// All returns the faults in the order of the table.
func All() []Fault {
	return []Fault{Absent, Down, Slow, Frozen, Emptied, Password, Permission, Failover, Flapping, Halved, Hostile}
}

// inOrder returns the faults in the order in which they are caused: what takes the data of a server is last.
func inOrder() []Fault {
	return []Fault{Absent, Slow, Flapping, Down, Frozen, Halved, Hostile, Password, Permission, Failover, Emptied}
}

// A Cause causes a fault. The returned function ends it and returns when the servers work again.
type Cause func(t testing.TB) (end func())

// A Subject is a queue on a server of an engine that faults hit. Its functions are called by one goroutine.
type Subject struct {
	// Title says what runs, with its version; where servers replace each other, how they do.
	Title string
	// Connection returns the lines of its connection in the configuration of the scaler.
	Connection func() []string
	// Metadata is the rest of its trigger.
	Metadata map[string]string
	// Put adds messages, or adds to the number of an engine that counts none. It does not pass the proxies.
	Put func(t testing.TB, n int)
	// Proxies are in front of its servers.
	Proxies []*backlogtest.Proxy
	// Garbage is what a hostile server sends, again and again.
	Garbage string
	// Causes are the faults that a proxy cannot cause, and those that its servers have in a way of their own.
	Causes map[Fault]Cause
	// Keeps reports that a server without its data has the number again at once.
	Keeps bool
}

// A Scene is how the subject of some faults is started.
type Scene struct {
	Engine string
	Faults []Fault
	Start  func(t testing.TB) *Subject
}

// Scenes returns those of all engines. Where servers replace each other, that is a scene of its own.
func Scenes() []Scene {
	alone := func() []Fault {
		var all []Fault
		for _, f := range inOrder() {
			if f != Failover {
				all = append(all, f)
			}
		}
		return all
	}()
	failover := []Fault{Failover}
	return []Scene{
		{"redis", alone, redisServer},
		{"redis", failover, redisSentinel},
		{"kafka", alone, kafkaBrokers(1)},
		{"kafka", failover, kafkaBrokers(3)},
		{"rabbitmq", alone, rabbitNodes(1)},
		{"rabbitmq", failover, rabbitNodes(3)},
		{"jetstream", alone, natsServers(1)},
		{"jetstream", failover, natsServers(3)},
		{"sqs", alone, sqsServer},
		{"postgresql", alone, postgresServer},
		{"postgresql", failover, postgresStandby},
		{"mysql", alone, mysqlServer},
		{"mysql", failover, mysqlSuccessor},
		{"prometheus", alone, prometheusServer},
		{"http", alone, httpServer},
		{"logs", alone, logServer},
	}
}

// titled returns the title of a subject: what runs, or how many servers of it.
func titled(what string, n int, servers string) string {
	if n == 1 {
		return what
	}
	return strconv.Itoa(n) + " " + servers
}

// slowBy is by how much a slow network is slower in each direction.
const slowBy = 150 * time.Millisecond

// cause returns what causes a fault: the way of the subject, or that of proxies.
func (s *Subject) cause(fault Fault) Cause {
	if own := s.Causes[fault]; own != nil {
		return own
	}
	disturb := map[Fault]func(*backlogtest.Proxy){
		Absent:  (*backlogtest.Proxy).Refuse,
		Down:    (*backlogtest.Proxy).Refuse,
		Frozen:  (*backlogtest.Proxy).BlackHole,
		Slow:    func(p *backlogtest.Proxy) { p.Delay(slowBy) },
		Halved:  (*backlogtest.Proxy).Halve,
		Hostile: func(p *backlogtest.Proxy) { p.Garble([]byte(s.Garbage)) },
	}[fault]
	switch {
	case fault == Flapping:
		return s.flap
	case disturb == nil:
		return nil
	}
	return func(testing.TB) func() {
		for _, p := range s.Proxies {
			disturb(p)
		}
		return s.restore
	}
}

func (s *Subject) restore() {
	for _, p := range s.Proxies {
		p.Restore()
	}
}

func (s *Subject) cut() {
	for _, p := range s.Proxies {
		p.Cut()
	}
}

func (s *Subject) refuse() {
	for _, p := range s.Proxies {
		p.Refuse()
	}
}

// A freezer is a server that can be stopped and go on.
type freezer interface {
	Freeze(t testing.TB)
	Thaw(t testing.TB)
}

// frozen freezes the present server.
func frozen(server func() freezer) Cause {
	return func(t testing.TB) func() {
		t.Helper()
		one := server()
		one.Freeze(t)
		return func() { one.Thaw(t) }
	}
}

// emptied replaces the data of servers while they cannot be reached by their proxies.
func emptied(replace func(t testing.TB), proxies ...*backlogtest.Proxy) Cause {
	return func(t testing.TB) func() {
		t.Helper()
		for _, p := range proxies {
			p.Refuse()
		}
		return func() {
			replace(t)
			for _, p := range proxies {
				p.Restore()
			}
		}
	}
}

// The times for which a server that flaps can be reached, and for which it cannot.
const (
	flapUp   = 2 * time.Second
	flapDown = time.Second
)

// flap refuses connections again and again until it is ended.
func (s *Subject) flap(testing.TB) (end func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			s.refuse()
			stop := wait(flapDown, ended)
			s.restore()
			if stop || wait(flapUp, ended) {
				return
			}
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}

// wait waits for d, and reports whether ended was closed meanwhile.
func wait(d time.Duration, ended <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-ended:
		return true
	}
}
