package app

import "net"

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
