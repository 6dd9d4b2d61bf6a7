//go:build !linux

package childprocess

// AwaitStopped returns at once: only Linux shows whether a process has stopped.
func AwaitStopped(...int) error { return nil }

// Children returns nothing: only Linux reports them.
func Children(int) ([]int, error) { return nil, nil }

func group(int) ([]int, error) { return nil, nil }
