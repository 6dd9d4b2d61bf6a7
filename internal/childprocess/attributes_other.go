//go:build !linux

package childprocess

import "syscall"

// attributes gives a program its own process group. Only Linux can end it with its parent. The
// program runs as the user of a credential, unless it is nil.
func attributes(user *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: user}
}
