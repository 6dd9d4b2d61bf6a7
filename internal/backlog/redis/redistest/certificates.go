package redistest

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
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificates are those of a server that speaks TLS, and of its clients.
type Certificates struct {
	// CAFile, CertFile and KeyFile are what a client needs, as paths of PEM files.
	CAFile, CertFile, KeyFile string
	// Client is the same as a configuration.
	Client *tls.Config

	serverCert, serverKey string
}

// newCertificates makes an authority and certificates for a server on 127.0.0.1 and a
// client, in dir.
func newCertificates(t testing.TB, dir string) *Certificates {
	t.Helper()
	ca, caKey := newCertificate(t, "test authority", nil, nil)
	server, serverKey := newCertificate(t, "redis", ca, caKey)
	client, clientKey := newCertificate(t, "scaler", ca, caKey)
	c := &Certificates{
		CAFile:     writePEM(t, dir, "ca.pem", "CERTIFICATE", ca.Raw),
		CertFile:   writePEM(t, dir, "client.pem", "CERTIFICATE", client.Raw),
		KeyFile:    writePEM(t, dir, "client.key", "EC PRIVATE KEY", marshalKey(t, clientKey)),
		serverCert: writePEM(t, dir, "server.pem", "CERTIFICATE", server.Raw),
		serverKey:  writePEM(t, dir, "server.key", "EC PRIVATE KEY", marshalKey(t, serverKey)),
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	c.Client = &tls.Config{
		MinVersion:   tls.VersionTLS12,
		RootCAs:      pool,
		ServerName:   "127.0.0.1",
		Certificates: []tls.Certificate{{Certificate: [][]byte{client.Raw}, PrivateKey: clientKey}},
	}
	return c
}

// serverLines are those of a server's configuration.
func (c *Certificates) serverLines() string {
	return "tls-cert-file " + c.serverCert + "\ntls-key-file " + c.serverKey +
		"\ntls-ca-cert-file " + c.CAFile + "\ntls-auth-clients yes"
}

// newCertificate returns a certificate signed by ca, or by itself if ca is nil.
func newCertificate(t testing.TB, name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:     []string{"localhost"},
	}
	if ca == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage |= x509.KeyUsageCertSign
		ca, caKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func marshalKey(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func writePEM(t testing.TB, dir, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
