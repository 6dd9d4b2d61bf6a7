//go:build !linux

package childprocess

import "syscall"

// attributes gives a program its own process group. Only Linux can end it with its parent.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
