package backlog

import "time"

// A ConnectionState is what is known about one connection.
type ConnectionState struct {
	Name, Engine string
	// Namespaces are the patterns of the namespaces that may use it.
	Namespaces []string
	// Status is what the source says of itself.
	Status Status
	// Queues is the number of queues that are read, and Failing that of those whose last read did
	// not reach the engine.
	Queues, Failing int
	// LastContact is when a batch of reads last reached the engine, and Took how long that batch
	// took; zero if none did.
	LastContact time.Time
	Took        time.Duration
	// FailingSince is when the first of the failing queues began to fail, and Err its error; zero
	// and nil without one.
	FailingSince time.Time
	Err          error
}
