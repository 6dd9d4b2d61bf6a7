package redis

import (
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// silentMaster is how long a replica may have heard nothing from its master before its
// data counts as lost. A master sends a ping every 10 s (repl-ping-replica-period), so two
// are missing by then. Redis itself waits for repl-timeout, which is 60 s, before it
// reports the link as down.
const silentMaster = 20 * time.Second

// checkRole looks at INFO replication. A text without a role says nothing.
func checkRole(info string, wantMaster bool) error {
	role := resp.InfoField(info, "role")
	if role == "master" || role == "" {
		return nil
	}
	if wantMaster {
		return fmt.Errorf("%w: the server is a replica where the master is wanted", backlog.ErrUnavailable)
	}
	// Both are also so while a replica receives or loads the data of its master.
	if resp.InfoField(info, "master_link_status") == "down" || resp.InfoField(info, "master_sync_in_progress") == "1" {
		return fmt.Errorf("%w: the server is a replica that has lost its master", backlog.ErrUnavailable)
	}
	silent, err := strconv.ParseInt(resp.InfoField(info, "master_last_io_seconds_ago"), 10, 64)
	if err == nil && time.Duration(silent)*time.Second > silentMaster {
		return fmt.Errorf("%w: the server is a replica that has heard nothing from its master for %d s", backlog.ErrUnavailable, silent)
	}
	return nil
}
