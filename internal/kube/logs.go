package kube

import (
	"log/slog"

	"k8s.io/klog/v2"
)

// LogTo has client-go log to a logger. It has one for the whole process, so this is called once, by
// the program, before the first controller is made.
func LogTo(logger *slog.Logger) { klog.SetSlogLogger(logger) }
