// Package layouttest holds what the tests of layouts share: the driver of a framework's real
// library, queries and sources, the whole scaler as KEDA calls it, tables of keys with what
// they read as, and the checks that every framework passes.
package layouttest
