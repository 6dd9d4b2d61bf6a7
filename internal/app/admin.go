package app

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/backlog-scaler/backlog-scaler/internal/admin"
	"github.com/backlog-scaler/backlog-scaler/internal/page"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// addAdmin builds the server of the admin address.
func (a *App) addAdmin(listener net.Listener) {
	a.adminPort = a.server.NewPort(server.PortAdmin, listener)
	i := inspector.New(a.server, a.sampler, a.inspected(), a.reloads.Fault)
	web := page.New(page.Options{Inspector: i, Version: a.options.Build.Version, Replica: a.options.Replica, Settings: a.options.Settings})
	a.admin = admin.NewServer(admin.Options{
		Routes: i.Routes(), Page: web, Hosts: a.options.AdminHosts, Log: telemetry.NewHTTPLog(a.options.Logger),
	})
}

// serveAdmin serves the admin address until stopAdmin is called.
func (a *App) serveAdmin(context.Context) error {
	if err := a.admin.Serve(a.adminPort); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// stopAdmin cuts off all clients of the admin address: those that watch would stay, and the others
// ask again.
func (a *App) stopAdmin() {
	// An error is that of a listener that is closed already.
	_ = a.admin.Close()
	a.adminPort.CloseConnections()
}

// AdminAddr is where the App serves the inspector; nil if it is disabled.
func (a *App) AdminAddr() net.Addr {
	if a.adminPort == nil {
		return nil
	}
	return a.adminPort.Addr()
}

// warnOfAdmin logs a warning if clients outside of this host, or pod, can reach the inspector.
func (a *App) warnOfAdmin() {
	address := a.adminPort.Addr()
	if tcp, ok := address.(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		return
	}
	a.options.Logger.Warn("the admin address is not loopback: who reaches it sees the queues of all namespaces", "admin", address.String())
}

// adminText returns the address of the inspector for the log.
func (a *App) adminText() string {
	if a.adminPort == nil {
		return "off"
	}
	return a.adminPort.Addr().String()
}
