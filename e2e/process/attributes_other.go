//go:build !linux

package process

import "syscall"

// attributes gives the child its own process group. Only Linux can tie its life to ours.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
