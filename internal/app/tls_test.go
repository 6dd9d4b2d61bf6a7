package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

// An authority signs certificates for 127.0.0.1.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert: cert, key: key}
}

// issue returns a certificate and its key, in PEM.
func (a authority) issue(t *testing.T, serial int64) (cert, key string) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, &own.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return inPEM("CERTIFICATE", der), inPEM("PRIVATE KEY", pkcs8)
}

func (a authority) pem() string { return inPEM("CERTIFICATE", a.cert.Raw) }

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// client is a TLS configuration that trusts a, with a certificate of from.
func (a authority) client(t *testing.T, from authority) *tls.Config {
	t.Helper()
	pair, err := tls.X509KeyPair(bytesOf(from.issue(t, 99)))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{pair}}
}

func bytesOf(a, b string) (first, second []byte) { return []byte(a), []byte(b) }

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Do("RPUSH", "jobs", "a")
	trusted, stranger := newAuthority(t), newAuthority(t)
	folder := t.TempDir()
	files := server.TLSFiles{
		Cert: filepath.Join(folder, "tls.crt"), Key: filepath.Join(folder, "tls.key"), ClientCA: filepath.Join(folder, "ca.crt"),
	}
	// An editor may put a byte order mark before what it saves.
	const mark = "\ufeff"
	install := func(serial int64) {
		cert, key := trusted.issue(t, serial)
		replaceFile(t, files.Cert, mark+cert)
		replaceFile(t, files.Key, mark+key)
	}
	install(1)
	replaceFile(t, files.ClientCA, mark+trusted.pem())
	s := start(t, standalone(redis.Addr()), setup{
		options: func(o *app.Options) { o.TLS = files },
		tls:     trusted.client(t, trusted),
	})
	s.awaitValue(ref("jobs"), 1)

	// serial is the number of the certificate that a new client is shown.
	serial := func() int64 {
		dialer := tls.Dialer{Config: trusted.client(t, trusted)}
		conn, err := dialer.DialContext(t.Context(), "tcp", s.app.GRPCAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64() //nolint:errcheck // a tls.Dialer returns nothing else
	}
	if got := serial(); got != 1 {
		t.Errorf("certificate %d, want 1", got)
	}
	install(2)
	redistest.Eventually(t, "the new certificate", func() bool { return serial() == 2 })
	replaceFile(t, files.Cert, "broken")
	redistest.Eventually(t, "the log reports the broken certificate", func() bool {
		return serial() == 2 && strings.Contains(s.log.String(), "old one stays in force")
	})

	for name, config := range map[string]*tls.Config{
		"a certificate of a stranger": trusted.client(t, stranger),
		"no certificate":              {MinVersion: tls.VersionTLS12, RootCAs: trusted.client(t, trusted).RootCAs},
	} {
		intruder := s.dial(config)
		if _, _, err := intruder.ask(ref("jobs")); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v, want a refused connection", name, err)
		}
	}
}
