// Package api is the client of the API server: requests for the kinds that policies are about, and
// caches of what is watched.
//
// It is built on the lower layers of client-go, without its typed clients and without
// controller-runtime. Those register the types of every API when the program starts, whether or not
// policies are wanted: docs/adr/0063-a-client-of-a-few-kinds.md.
package api
