//go:build !linux

package broker

import "syscall"

// attributes are the system's defaults: only Linux can tie a server's life to ours.
func attributes() *syscall.SysProcAttr { return nil }
