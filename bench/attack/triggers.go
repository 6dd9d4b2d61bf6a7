package attack

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
)

const (
	// most is how many triggers a namespace may have: the default of
	// --max-triggers-per-namespace.
	most = 2_000
	// patience bounds one call.
	patience = 5 * time.Second
)

// many are as many ScaledObjects as there may be, each with a list of its own.
func many() (refs []*pb.ScaledObjectRef, lists []string) {
	for i := range most {
		lists = append(lists, fmt.Sprintf("%slist-%d", prefix, i))
		refs = append(refs, ref(fmt.Sprintf("worker-%d", i), map[string]string{"list": lists[i]}))
	}
	return refs, lists
}

// ask makes one of the calls that KEDA polls with.
func (a *attacker) ask(ctx context.Context, i int, r *pb.ScaledObjectRef) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	if i%2 == 0 {
		_, err = a.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: r, MetricName: "list"})
	} else {
		_, err = a.IsActive(ctx, r)
	}
	a.count(err)
}

// open opens one of KEDA's two streams until the function that it returns is called, and
// reports whether the scaler accepted it.
func (a *attacker) open(ctx context.Context, i int, r *pb.ScaledObjectRef) (end func(), accepted bool) {
	ctx, cancel := context.WithCancel(ctx)
	var err error
	var stream interface{ RecvMsg(any) error }
	var message any = new(pb.IsActiveResponse)
	if i%2 == 0 {
		stream, err = a.StreamIsActive(ctx, r)
	} else {
		stream, err = a.StreamMetricSpec(ctx, r)
		message = new(pb.GetMetricSpecResponse)
	}
	if err == nil {
		err = stream.RecvMsg(message)
	}
	if ctx.Err() == nil {
		a.count(err)
	}
	return cancel, err == nil
}

// triggers has as many triggers as there may be, all with work and both streams, and asks
// ten times as often as the HPA does: both calls of each in 1.5 s.
func triggers(ctx context.Context, a *attacker) error {
	refs, lists := many()
	if err := a.fill(ctx, lists); err != nil {
		return err
	}
	var opening sync.WaitGroup
	for n := range 16 {
		opening.Go(func() {
			for i := n; i < 2*most && ctx.Err() == nil; i += 16 {
				a.open(ctx, i, refs[i/2])
			}
		})
	}
	opening.Wait()
	a.ready()
	paced(ctx, most*2*10/15, 16, func(i int) { a.ask(ctx, i, refs[i/2%most]) })
	return nil
}

// streams holds as many streams as there may be, closes and opens them again, and opens
// more, which are refused.
func streams(ctx context.Context, a *attacker) error {
	const held = 3 * most
	refs, _ := many()
	ends := make([]func(), held)
	var opening sync.WaitGroup
	for n := range 16 {
		opening.Go(func() {
			for i := n; i < held && ctx.Err() == nil; i += 16 {
				ends[i], _ = a.open(ctx, i, refs[i%most])
			}
		})
	}
	opening.Wait()
	a.ready()
	// One caller for each residue, so that no two replace the same stream.
	const callers = 8
	var running sync.WaitGroup
	for n := range callers {
		running.Go(func() {
			paced(ctx, 500/callers, 1, func(i int) {
				if i%2 == 0 {
					end, _ := a.open(ctx, 0, refs[i%most])
					end()
					return
				}
				at := (n + i/2*callers) % held
				ends[at]()
				// The scaler may learn of the end later than of the next stream.
				for accepted := false; !accepted && ctx.Err() == nil; {
					ends[at], accepted = a.open(ctx, at, refs[at%most])
				}
			})
		})
	}
	running.Wait()
	return nil
}

// metadata sends triggers of the largest size, each new: none is known from before. The one
// in ten whose queue is asked for also makes a watch of 20 patterns.
func metadata(ctx context.Context, a *attacker) error {
	time.AfterFunc(3*time.Second, a.ready)
	paced(ctx, 200, 4, func(i int) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		r := ref(fmt.Sprintf("large-%d", i%most), large(i))
		if i%10 == 0 {
			ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			_, err := a.IsActive(ctx, r)
			a.count(err)
			return
		}
		_, err := a.GetMetricSpec(ctx, r)
		a.count(err)
	})
	return nil
}

// large is the metadata of a trigger that has 80 names, 20 patterns and 100 weights, in some
// 62 KiB.
func large(n int) map[string]string {
	padding := strings.Repeat("x", 290)
	var names, weights []string
	for i := range 100 {
		name := fmt.Sprintf("%s%s-%d-%d", prefix, padding, n, i)
		if i%5 == 0 {
			name += "-*"
		}
		names = append(names, name)
		weights = append(weights, name+"=2")
	}
	return map[string]string{"list": strings.Join(names, ","), "weights": strings.Join(weights, ",")}
}

// refusals asks about triggers with faults, more than are remembered.
func refusals(ctx context.Context, a *attacker) error {
	const distinct = 10_000
	time.AfterFunc(distinct/2000*time.Second, a.ready)
	paced(ctx, 2000, 16, func(i int) {
		a.ask(ctx, i, ref(fmt.Sprintf("faulty-%d", i%distinct), map[string]string{"lst": fmt.Sprintf("%slist-%d", prefix, i%distinct), "taget": "five"}))
	})
	return nil
}
