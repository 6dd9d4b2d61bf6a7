package process

import "syscall"

// attributes has the kernel end the program if the benchmark dies without having done so.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
