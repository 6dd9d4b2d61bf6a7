package builtin_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
)

// trigger is the trigger of a row.
func (r row) trigger() builtin.Trigger {
	t := builtin.Trigger{Type: r.typ, Namespace: "shop", Name: "mailer", KEDANamespace: "keda", Metadata: map[string]builtin.Entry{}, Auth: map[string]builtin.Value{}}
	keys := maps.Clone(minimal()[r.typ])
	delete(keys, r.without)
	maps.Copy(keys, r.with)
	variables := map[string]builtin.Value{}
	value := func(key, text string) builtin.Value {
		if text == "secret" {
			return builtin.Value{Secret: &builtin.Secret{Namespace: "shop", Name: "s", Key: key}}
		}
		return builtin.Value{Text: text, From: "a variable"}
	}
	switch r.from {
	case 'M':
		keys[r.key] = r.value
	case 'E':
		keys[r.key+"FromEnv"] = "VARIABLE"
		variables["VARIABLE"] = value(r.key, r.value)
	default:
		t.Auth[r.key] = value(r.key, r.value)
	}
	for key, text := range keys {
		if plain, is := strings.CutSuffix(key, "FromEnv"); is && text != "VARIABLE" {
			variables[text] = value(plain, text)
		}
		t.Metadata[key] = builtin.Entry{Text: text, Line: 1}
	}
	t.Env = func(name string) builtin.Value { return variables[name] }
	return t
}

// described is a conversion in one line.
func described(c builtin.Conversion) string {
	var b strings.Builder
	if c.Left != "" {
		b.WriteString("LEFT " + c.Left + " | ")
	}
	b.WriteString(c.Host + " " + c.Was + " " + c.Queue + " " + c.OldMetric + " | ")
	for _, s := range c.Settings {
		text := s.Text
		switch {
		case s.Gap != "":
			text = "GAP"
		case s.Secret != nil:
			text = "SECRET " + s.Secret.Namespace + "/" + s.Secret.Name + "/" + s.Secret.Key
		case len(s.List) > 0:
			text = fmt.Sprint(s.List)
		}
		b.WriteString(s.Name + "=" + text + " ")
	}
	b.WriteString("| ")
	for _, p := range c.Keys {
		b.WriteString(p.Key + "=" + p.Value + " ")
	}
	for _, f := range c.Findings {
		fmt.Fprintf(&b, "| %s %s: %s ", f.Level, f.Key, f.Text)
	}
	return b.String()
}

// TestKeys converts each key of each trigger.
func TestKeys(t *testing.T) {
	t.Parallel()
	for i, r := range rows() {
		t.Run(fmt.Sprintf("%03d %s %c %s %s", i, r.typ, r.from, r.key, r.value), func(t *testing.T) {
			t.Parallel()
			c, ours := builtin.Convert(r.trigger())
			if got := described(c); !ours || !strings.Contains(got, r.want) {
				t.Errorf("got %s\nwant %s", got, r.want)
			}
			if strings.Contains(described(c), "hunter2") {
				t.Errorf("the secret is shown: %s", described(c))
			}
		})
	}
}

// TestEveryKey wants a row for each key of each family.
func TestEveryKey(t *testing.T) {
	t.Parallel()
	tried := map[[2]string]bool{}
	for _, r := range rows() {
		family, ok := builtin.Find(r.typ)
		if !ok {
			t.Fatalf("%s is no trigger", r.typ)
		}
		tried[[2]string{family.Types[0], r.key}] = true
	}
	// Keys that the code of another family reads.
	shared := map[string]string{"redis-streams": "redis", "apache-kafka": "kafka", "loki": "prometheus", "metrics-api": "prometheus"}
	for _, f := range builtin.Families() {
		for _, k := range f.Keys {
			if !tried[[2]string{f.Types[0], k.Name}] && !tried[[2]string{shared[f.Types[0]], k.Name}] {
				t.Errorf("%s: no row for %s", f.Types[0], k.Name)
			}
			if k.Becomes == "" {
				t.Errorf("%s: %s becomes nothing that is written down", f.Types[0], k.Name)
			}
		}
	}
}

// TestSecretsInEveryKey: whatever key holds a URL with a password, in whatever place, nothing repeats it.
func TestSecretsInEveryKey(t *testing.T) {
	t.Parallel()
	tried := 0
	for typ := range minimal() {
		family, _ := builtin.Find(typ)
		for _, k := range family.Keys {
			for _, from := range k.From {
				for _, secret := range []string{"https://app:hunter2@h.shop.svc:1/x", "amqp://app:hunter2@h.shop.svc/", "postgres://app:hunter2@h.shop.svc/d", "app:hunter2@tcp(h.shop.svc:1)/d", "app:hunter2@h.shop.svc:1"} {
					r := row{typ: typ, key: k.Name, from: from, value: secret, without: k.Name}
					c, _ := builtin.Convert(r.trigger())
					got := described(c)
					// A query and names are texts of any kind: in them a URL alone is recognised.
					isName := slices.Contains([]string{"listName", "stream", "consumer", "consumerGroup", "topic", "queueName", "queueURL", "query", "valueLocation"}, k.Name)
					if strings.Contains(got, "hunter2") && (!isName || strings.Contains(secret, "://")) {
						t.Errorf("%s: %s from %c: %s", typ, k.Name, from, got)
					}
					tried++
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("%d were tried", tried)
	}
}
