package dnsserver_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/e2e/dnsserver"
)

func TestServer(t *testing.T) {
	t.Parallel()
	service, err := dnsserver.Start("scaler.e2e.svc.cluster.local")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := service.Close(); err != nil {
			t.Error(err)
		}
	})
	// dns://SERVER/NAME:PORT
	server, _, _ := strings.Cut(strings.TrimPrefix(service.Target(9090), "dns://"), "/")
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server)
	}}
	for _, want := range [][]string{{"127.0.1.1", "127.0.1.2"}, {"127.0.1.3"}} {
		if err := service.Set(want...); err != nil {
			t.Fatal(err)
		}
		got, err := resolver.LookupHost(t.Context(), "scaler.e2e.svc.cluster.local.")
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("addresses (-want +got):\n%s", diff)
		}
	}
	if _, err := resolver.LookupHost(t.Context(), "other.e2e.svc.cluster.local."); err == nil {
		t.Error("another name was resolved")
	}
	if err := service.Set("not an address"); err == nil {
		t.Error("an address that is none was taken")
	}
}
