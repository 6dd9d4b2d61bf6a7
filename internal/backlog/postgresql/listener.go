package postgresql

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

const (
	// listenBatch is how many channels one round trip begins to listen to.
	listenBatch = 500
	// pooledAfter is how many probes in a row may be lost before the connection is taken for one through
	// which no notification passes.
	pooledAfter = 3
	// probeInterval is the least time between two probes of a listener that is not verified, and
	// pooledInterval that of one that is taken for pooled.
	probeInterval, pooledInterval = 500 * time.Millisecond, 30 * time.Second
)

// readOnlyState is the SQLSTATE of a standby that is asked to listen.
const readOnlyState = "25006"

// A listener keeps a connection that listens to the channels of a registry, while there are any.
//
// LISTEN through a pooler between transactions succeeds, and nothing arrives. So the listener has a
// channel of its own, and is trusted once it has heard what another connection has sent there: a
// probe. Notifications arrive in the order of their transactions, so that a probe that was heard also
// proves that everything before it was.
type listener struct {
	*registry
	link  *link
	wakes *wakes.Queue
	log   *slog.Logger
	// own is the channel of probes.
	own string
	// kick asks to look at the channels again.
	kick chan struct{}

	// mu guards all below.
	mu sync.Mutex
	// reason is why changes are not noticed; empty if they are, or before that is known.
	reason string
	// up reports that the connection listens to the channel of probes.
	up bool
	// end ends the wait for notifications, and the connection.
	end context.CancelFunc
	// sent counts the probes, and heard is the last one that arrived; heardCh is closed when one does.
	sent, heard int64
	heardCh     chan struct{}
	// lost is how many probes in a row were lost, and probed when the last one was sent.
	lost   int
	probed time.Time
}

func newListener(c *config, w *wakes.Queue, log *slog.Logger) *listener {
	l := &listener{
		registry: newRegistry(w.Wake), wakes: w, log: log,
		own: "backlog_scaler_" + strings.ToLower(rand.Text()), kick: make(chan struct{}, 1), heardCh: make(chan struct{}),
	}
	l.link = newLink(c.listen, c.dialTimeout, l.notified)
	return l
}

// run listens until ctx ends.
func (l *listener) run(ctx context.Context) {
	defer l.link.close()       //nolint:contextcheck // it has a timeout of its own
	ended := func(err error) { //nolint:contextcheck // dropping a connection has a timeout of its own
		l.down(err)
		l.link.drop()
	}
	network.Keep(ctx, network.Kept{Wanted: l.wanted, Kick: l.kick, Serve: l.session, Ended: ended})
}

// down notes that the connection is lost.
func (l *listener) down(err error) {
	l.mu.Lock()
	l.up, l.end, l.lost, l.probed = false, nil, 0, time.Time{}
	switch state, is := errors.AsType[*pgconn.PgError](err); {
	case is && state.Code == readOnlyState:
		l.reason = "the server is a standby, which cannot listen"
	case err != nil:
		l.reason = "the connection that listens is lost: " + backlog.Line(failed(err).Error())
	}
	l.mu.Unlock()
	if l.lose() {
		l.wakes.WakeAll()
	}
}

// session listens on one connection until it is lost. ctx bounds it.
func (l *listener) session(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	conn, err := l.link.connect(ctx)
	if err != nil {
		return err
	}
	if err := l.listen(ctx, conn, []string{l.own}); err != nil {
		return err
	}
	l.mu.Lock()
	l.up, l.end = true, end
	l.mu.Unlock()
	for {
		if err := l.follow(ctx, conn); err != nil {
			return err
		}
		l.link.allow()
		if err := l.wait(ctx, conn); err != nil {
			return err
		}
	}
}

// follow listens to the channels that are new, and no more to those that are not needed.
func (l *listener) follow(ctx context.Context, conn *pgconn.PgConn) error {
	if gone := l.sweep(time.Now()); len(gone) > 0 {
		if err := l.exec(ctx, conn, "UNLISTEN", gone); err != nil {
			return err
		}
	}
	_, life := l.state()
	for {
		names := l.pending(listenBatch)
		if len(names) == 0 {
			return nil
		}
		if err := l.listen(ctx, conn, names); err != nil {
			return err
		}
		l.listening(names, life)
	}
}

func (l *listener) listen(ctx context.Context, conn *pgconn.PgConn, names []string) error {
	return l.exec(ctx, conn, "LISTEN", names)
}

// exec runs a statement for each channel.
func (l *listener) exec(ctx context.Context, conn *pgconn.PgConn, word string, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, l.link.timeout)
	defer cancel()
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, `%s "%s";`, word, strings.ReplaceAll(name, `"`, `""`))
	}
	l.link.allow()
	_, err := conn.Exec(ctx, text.String()).ReadAll()
	return err
}

// wait returns when a notification has arrived, or when the channels are to be looked at.
func (l *listener) wait(ctx context.Context, conn *pgconn.PgConn) error {
	waiting, stop := context.WithCancel(ctx)
	var kicked sync.WaitGroup
	kicked.Go(func() {
		select {
		case <-l.kick:
			stop()
		case <-waiting.Done():
		}
	})
	err := conn.WaitForNotification(waiting)
	interrupted := waiting.Err() != nil && ctx.Err() == nil
	stop()
	kicked.Wait()
	if interrupted && !conn.IsClosed() {
		return nil
	}
	return err
}

// look asks the listener to look at the channels.
func (l *listener) look() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// notified is called with each notification that the connection receives.
func (l *listener) notified(name, payload string) {
	if name != l.own {
		l.notify(name, payload, time.Now())
		return
	}
	n, err := strconv.ParseInt(payload, 10, 64)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || n <= l.heard || n > l.sent || !l.up {
		return
	}
	l.heard, l.lost, l.reason = n, 0, ""
	close(l.heardCh)
	l.heardCh = make(chan struct{})
	if verified, _ := l.state(); !verified {
		l.verify()
		// What was read before was not armed.
		l.wakes.WakeAll()
	}
}

// probe returns the statement that sends a probe, and its number. It is not ok while nothing listens.
// The statement has to be sent: the next probe comes a while later.
func (l *listener) probe(now time.Time) (s statement, n int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.up {
		return statement{}, 0, false
	}
	l.sent++
	l.probed = now
	return statement{sql: "SELECT pg_notify($1, $2)", args: []string{l.own, strconv.FormatInt(l.sent, 10)}}, l.sent, true
}

// verifies reports whether a probe is due because notifications were not seen to arrive.
func (l *listener) verifies(now time.Time) bool {
	if verified, _ := l.state(); verified {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	interval := probeInterval
	if l.lost >= pooledAfter {
		interval = pooledInterval
	}
	if !l.up || now.Sub(l.probed) < interval {
		return false
	}
	if !l.probed.IsZero() {
		l.lost++
	}
	if l.lost >= pooledAfter {
		l.reason = "notifications do not arrive: addresses may be those of a pooler between transactions; listenAddresses names the server itself"
	}
	return true
}

// refuse notes why there can be no probes.
func (l *listener) refuse(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reason = reason
}

// errUnheard is a listener that did not hear a probe.
var errUnheard = errors.New("the connection that listens does not hear what is notified")

// expect waits until a probe was heard. If it is not, the connection is given up.
func (l *listener) expect(ctx context.Context, n int64) error {
	_, life := l.state()
	for {
		l.mu.Lock()
		heard, next, end := l.heard, l.heardCh, l.end
		l.mu.Unlock()
		if heard >= n {
			return nil
		}
		verified, now := l.state()
		if !verified || now != life {
			return errUnheard
		}
		select {
		case <-next:
		case <-ctx.Done():
			if end != nil {
				end()
			}
			return fmt.Errorf("%w: %w", errUnheard, ctx.Err())
		}
	}
}

// why returns why changes are not noticed; empty if they are, or if that is not known.
func (l *listener) why() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}
