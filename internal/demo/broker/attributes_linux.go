package broker

import "syscall"

// attributes gives the server its own process group, so that a Ctrl-C at the
// terminal does not end it before those who use it, and has the kernel end it if
// the demo dies without having done so.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
