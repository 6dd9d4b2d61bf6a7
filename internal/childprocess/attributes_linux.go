package childprocess

import "syscall"

// attributes gives a program its own process group, so that Ctrl-C at a terminal does not end it
// before its parent stops it, and has the kernel kill it when the parent dies without having stopped
// it, as after "panic: test timed out". The program runs as the user of a credential, unless it is nil.
func attributes(user *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: user}
}
