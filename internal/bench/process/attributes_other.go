//go:build !linux

package process

import "syscall"

// attributes are the system's defaults: only Linux can tie a program's life to ours.
func attributes() *syscall.SysProcAttr { return nil }
