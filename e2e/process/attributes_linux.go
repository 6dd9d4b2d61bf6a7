package process

import "syscall"

// attributes gives the child its own process group and has the kernel kill it when the harness dies
// without having stopped it, as after "panic: test timed out".
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
