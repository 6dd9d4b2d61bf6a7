// Package builtin says what a trigger of KEDA's own scalers becomes here: a connection, the keys of
// a trigger, and findings about what differs. It is pure, and never returns the value of a secret.
package builtin
