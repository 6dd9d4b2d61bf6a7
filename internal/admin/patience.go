package admin

import (
	"net/http"
	"time"
)

// patient gives each write of a reply a deadline of its own, so that a stream may last and a client
// that does not read does not.
func patient(timeout time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &patientWriter{ResponseWriter: w, control: http.NewResponseController(w), timeout: timeout}
		p.extend()
		next.ServeHTTP(p, r)
	})
}

// A patientWriter extends the deadline at each write.
type patientWriter struct {
	http.ResponseWriter

	control *http.ResponseController
	timeout time.Duration
}

// extend starts the deadline again. An error means that the connection has none, as in tests.
func (p *patientWriter) extend() { _ = p.control.SetWriteDeadline(time.Now().Add(p.timeout)) }

// Write implements io.Writer.
func (p *patientWriter) Write(data []byte) (int, error) {
	p.extend()
	return p.ResponseWriter.Write(data)
}

// Flush implements http.Flusher, which streams need.
func (p *patientWriter) Flush() {
	p.extend()
	// An error shows at the next write.
	_ = p.control.Flush()
}

// Unwrap returns the writer of the server, for http.ResponseController.
func (p *patientWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }
