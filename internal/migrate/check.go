package migrate

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"path"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/config"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// stubSecret and stubCertificate are the paths of files that stand for those that have to be filled in.
const (
	stubSecret      = "/stub/secret"
	stubCertificate = "/stub/certificate"
)

// check has the scaler's own parsers read the result. What they refuse because of what the manifests say is
// a gap of the trigger. The error is a result that is valid although it has gaps, or invalid although it has
// none.
func (m *migration) check() error {
	m.result.Config = m.configText(false)
	if m.result.Config == "" {
		return nil
	}
	files, err := newFiles(m)
	if err != nil {
		return err
	}
	m.checkConnections(files)
	// With what the engines refuse, the text has changed.
	m.result.Config = m.configText(false)
	gaps := m.gaps()
	_, err = config.Parse([]byte(m.result.Config), m.options.Engines, files.read, noVariable)
	switch {
	case err != nil && gaps == 0:
		return fmt.Errorf("check the result: the scaler does not accept the configuration: %w", err)
	case err == nil && gaps > 0:
		return errors.New("check the result: the configuration has gaps, and the scaler accepts it")
	}
	return nil
}

// gaps returns the number of gaps in the connections.
func (m *migration) gaps() int {
	n := 0
	for _, k := range m.connections {
		if k.isNameless() {
			n++
		}
		for _, s := range k.settings {
			if s.Gap != "" {
				n++
			}
		}
	}
	return n
}

// checkConnections reports what an engine refuses as a gap of each trigger that uses the connection, and
// parses the triggers of those that it does not.
func (m *migration) checkConnections(files *files) {
	all := m.connections
	defer func() { m.connections = all }()
	for _, k := range all {
		m.connections = []*connection{k}
		parsed, err := config.Parse([]byte(m.configText(true)), m.options.Engines, files.read, noVariable)
		if err == nil {
			k.checkTriggers(trigger.NewCatalog(parsed.Connections, m.options.Engines), m.options.ScalerAddress)
			continue
		}
		var texts []string
		if faults, ok := errors.AsType[config.Faults](err); ok {
			for _, f := range faults {
				texts = append(texts, strings.TrimPrefix(f.Key, "connections."+k.name+".")+": "+f.Problem)
			}
		}
		why := "the scaler does not accept what the manifest says: " + strings.Join(texts, "; ")
		// The connection stays invalid until it is put right.
		k.settings = append(k.settings, builtin.Setting{Name: builtin.Namespaces, Gap: why})
		for _, c := range k.users {
			c.report.add(builtin.Gap, c.report.Line, "", "the connection %s: %s", k.name, why)
		}
	}
}

// checkTriggers parses every new trigger on the connection with its gaps filled.
func (k *connection) checkTriggers(catalog *trigger.Catalog, address string) {
	for _, c := range k.users {
		metadata := map[string]string{}
		for _, p := range c.keys(address) {
			metadata[p.Key] = p.Value
			if p.Stub != "" {
				metadata[p.Key] = p.Stub
			}
		}
		t, err := catalog.Parse(cmp.Or(c.object.namespace, k.stubNamespace()), metadata)
		if err != nil {
			c.report.add(builtin.Gap, c.report.Line, "", "the scaler does not accept the trigger: %s", hint(err, c))
			continue
		}
		c.report.NewMetric = fmt.Sprintf("s%d-%s", c.index, t.MetricName)
		if c.OldMetric != "" {
			c.report.OldMetric = backlog.Line(metricName(c.index, c.OldMetric))
		}
	}
}

// stubNamespace is a namespace that may use the connection where its objects name none.
func (k *connection) stubNamespace() string {
	for _, n := range k.namespaces {
		if n != "" {
			return n
		}
	}
	return "stub"
}

// hint adds what to do about a strategy that the layout does not fit.
func hint(err error, c *carried) string {
	text := err.Error()
	if c.object.Job != "" && strings.Contains(text, "scaledJob: ") {
		text += ". Change scalingStrategy.strategy of the object and scaledJob of the trigger together"
	}
	return text
}

// metricName is the name of KEDA's metric:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/scaler.go#L76
func metricName(index int, name string) string {
	return fmt.Sprintf("s%d-%s", index, strings.NewReplacer("/", "-", ".", "-", ":", "-", "%", "-").Replace(name))
}

// Files stand for those that the configuration names.
type files struct {
	// certificate has a certificate and its key.
	certificate []byte
	// certificates are the paths of files with one.
	certificates map[string]bool
}

func newFiles(m *migration) (*files, error) {
	f := &files{certificates: map[string]bool{}}
	for _, k := range m.connections {
		for _, s := range k.settings {
			if s.Kind == builtin.KindFile && s.Secret != nil {
				f.certificates[m.secrets.path(*s.Secret)] = true
			}
			if s.Kind == builtin.KindFile && s.Gap != "" {
				f.certificates[stubCertificate] = true
			}
		}
	}
	if len(f.certificates) == 0 {
		return f, nil
	}
	var err error
	f.certificate, err = selfSigned()
	return f, err
}

// read returns a text for every path but that of a gap.
func (f *files) read(name string) ([]byte, error) {
	switch {
	case path.Base(name) == fillIn:
		return nil, errors.New("it has to be filled in")
	case f.certificates[name]:
		return f.certificate, nil
	default:
		return []byte("stub"), nil
	}
}

func noVariable(string) (string, bool) { return "", false }

// selfSigned returns a certificate and its key, because an engine refuses files that hold none.
func selfSigned() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stub"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	var b bytes.Buffer
	b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	b.Write(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))
	return b.Bytes(), nil
}
