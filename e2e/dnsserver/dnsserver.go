// Package dnsserver is a name server that answers for one name with given addresses, as a cluster's DNS does for
// a headless Service: one A record for each ready pod. KEDA's gRPC client is pointed at it with a
// dns://server/name:port address, so that name resolution, round robin and reconnects are the client's own.
package dnsserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// ttl is the life of an answer in seconds, that of a headless Service.
const ttl = 5

// A Server answers for one name.
type Server struct {
	name string
	conn net.PacketConn
	done chan struct{}

	mu        sync.Mutex // guards addresses: tests write, the server reads
	addresses []netip.Addr
	answered  int
}

// Start serves name, such as "backlog-scaler.default.svc.cluster.local", on a free port of the loopback.
func Start(name string) (*Server, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // binding a local port cannot block
	if err != nil {
		return nil, fmt.Errorf("listen for names: %w", err)
	}
	s := &Server{name: name + ".", conn: conn, done: make(chan struct{})}
	go s.serve()
	return s, nil
}

// Target is the scalerAddress that makes KEDA resolve the name here and connect to port of every address.
func (s *Server) Target(port int) string {
	return fmt.Sprintf("dns://%s/%s:%d", s.conn.LocalAddr(), s.name, port)
}

// Set replaces the addresses.
func (s *Server) Set(addresses ...string) error {
	list := make([]netip.Addr, 0, len(addresses))
	for _, address := range addresses {
		a, err := netip.ParseAddr(address)
		if err != nil {
			return fmt.Errorf("parse address: %w", err)
		}
		list = append(list, a)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addresses = list
	return nil
}

// Answered counts the answers given with the addresses.
func (s *Server) Answered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answered
}

// Close stops the server and waits for it.
func (s *Server) Close() error {
	err := s.conn.Close()
	<-s.done
	if err != nil {
		return fmt.Errorf("stop serving names: %w", err)
	}
	return nil
}

func (s *Server) serve() {
	defer close(s.done)
	buffer := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		reply, err := s.answer(buffer[:n])
		if err != nil {
			continue // not a question: no answer
		}
		if _, err := s.conn.WriteTo(reply, from); err != nil {
			continue // the resolver asks again
		}
	}
}

// answer builds the reply to one query.
func (s *Server) answer(query []byte) ([]byte, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil {
		return nil, fmt.Errorf("parse query: %w", err)
	}
	question, err := parser.Question()
	if err != nil {
		return nil, fmt.Errorf("parse question: %w", err)
	}
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired},
		Questions: []dnsmessage.Question{question},
	}
	switch {
	case question.Name.String() != s.name:
		reply.RCode = dnsmessage.RCodeNameError
	case question.Type == dnsmessage.TypeA:
		reply.Answers = s.records(question.Name)
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil, fmt.Errorf("pack reply: %w", err)
	}
	return packed, nil
}

func (s *Server) records(name dnsmessage.Name) []dnsmessage.Resource {
	s.mu.Lock()
	addresses := slices.Clone(s.addresses)
	s.answered++
	s.mu.Unlock()
	records := make([]dnsmessage.Resource, 0, len(addresses))
	for _, a := range addresses {
		records = append(records, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: ttl},
			Body:   &dnsmessage.AResource{A: a.As4()},
		})
	}
	return records
}
