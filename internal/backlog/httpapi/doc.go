// Package httpapi is what the engines that ask an HTTP API share: the settings of a connection, a
// client that no server can exhaust, and a source that asks one question for each query.
//
// The client bounds what a server may cause: [Client.Do] reads at most [MaxBody] bytes of a body
// after decompression and [MaxHeader] bytes of headers, takes at most answerTimeout for all of it,
// follows no redirect and opens at most [MaxConnections] connections. No error holds a body. It
// holds the one text that the caller extracts from the body by [Request.ErrorText], shortened to
// one line.
//
// The client takes no proxy from the environment (HTTP_PROXY, HTTPS_PROXY): the URL of the
// connection is where the request goes, and a variable that was set for another purpose sends no
// credentials elsewhere.
package httpapi
