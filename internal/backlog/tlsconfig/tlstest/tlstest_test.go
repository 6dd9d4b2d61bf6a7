package tlstest_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig/tlstest"
)

// TestCertificates: the client and the server accept each other, by the settings and by the files.
func TestCertificates(t *testing.T) {
	t.Parallel()
	c := tlstest.New(t, t.TempDir(), "scaler")
	settings, err := tlsconfig.New(backlog.NewSettings(map[string]any{"tls": true, "tlsCAFile": c.CA, "tlsCertFile": c.Cert, "tlsKeyFile": c.Key}))
	if err != nil {
		t.Fatal(err)
	}
	settings.ServerName = "127.0.0.1"
	for name, files := range map[string][2]string{"two files": {c.ServerCert, c.ServerKey}, "one file": {c.Server, c.Server}} {
		server, err := tls.LoadX509KeyPair(files[0], files[1])
		if err != nil {
			t.Fatal(err)
		}
		for kind, client := range map[string]*tls.Config{"settings": settings, "configuration": c.Client} {
			near, far := net.Pipe()
			user := make(chan string, 1)
			go func() {
				defer far.Close()
				conn := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: c.Client.RootCAs})
				if err := conn.HandshakeContext(t.Context()); err != nil {
					user <- err.Error()
					return
				}
				user <- conn.ConnectionState().PeerCertificates[0].Subject.CommonName
			}()
			conn := tls.Client(near, client)
			if err := conn.HandshakeContext(t.Context()); err != nil {
				t.Errorf("%s, %s: %v", name, kind, err)
			}
			_, _ = io.ReadAll(conn) // the server ends the connection
			if got := <-user; got != "scaler" {
				t.Errorf("%s, %s: the user is %q", name, kind, got)
			}
			_ = near.Close()
		}
	}
}
