package resp

// A Command is one command of a pipeline.
type Command struct {
	// Key decides which server of a cluster answers; empty is any.
	Key string
	// KeyType is the letter of the key's type in notify-keyspace-events, such as 'l'
	// for a list; 0 for a command whose key need not be tracked.
	KeyType byte
	// Asking makes a server answer for a slot that it is about to receive.
	Asking bool
	// Transaction is a number that neighbours share which are to be run as one; 0 for a
	// command that is run by itself.
	Transaction int
	Args        []any
}
