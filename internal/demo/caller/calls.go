package caller

import (
	"context"
	"errors"
	"io"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
)

func (c *Caller) ref() *pb.ScaledObjectRef {
	return &pb.ScaledObjectRef{Name: c.object.Name, Namespace: c.object.Namespace, ScalerMetadata: c.object.Metadata}
}

// errNoSpec is an answer that KEDA takes for a failure.
var errNoSpec = errors.New("GetMetricSpec: got an empty metric spec")

func (c *Caller) metricSpec(ctx context.Context) (metricSpec, error) {
	response, err := c.client.GetMetricSpec(ctx, c.ref())
	if err != nil {
		return metricSpec{}, err
	}
	return newMetricSpec(response)
}

func newMetricSpec(response *pb.GetMetricSpecResponse) (metricSpec, error) {
	specs := response.GetMetricSpecs()
	if len(specs) == 0 {
		return metricSpec{}, errNoSpec
	}
	return metricSpec{name: specs[0].GetMetricName(), target: first(specs[0].GetTargetSizeFloat(), specs[0].GetTargetSize())}, nil
}

// first is KEDA's choice between its two fields (external_scaler.go:186 and 227).
func first(float float64, integer int64) float64 {
	if float > 0 {
		return float
	}
	return float64(integer)
}

// observe asks for value and activity. When that fails, KEDA creates its scaler again
// and asks once more (pkg/scaling/cache/scalers_cache.go:244-276).
func (c *Caller) observe(ctx context.Context) (value float64, active bool, err error) {
	if value, active, err = c.observeOnce(ctx); err != nil {
		value, active, err = c.observeOnce(ctx)
	}
	return value, active, err
}

func (c *Caller) observeOnce(ctx context.Context) (value float64, active bool, err error) {
	if !c.spec.streamed {
		spec, err := c.metricSpec(ctx)
		if err != nil {
			return 0, false, err
		}
		c.spec = spec
	}
	metrics, err := c.client.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: c.ref(), MetricName: c.spec.name})
	if err != nil {
		return 0, false, err
	}
	for _, m := range metrics.GetMetricValues() {
		value += first(m.GetMetricValueFloat(), m.GetMetricValue())
	}
	activity, err := c.client.IsActive(ctx, c.ref())
	if err != nil {
		return 0, false, err
	}
	return value, activity.GetResult(), nil
}

// A push is one message of StreamIsActive.
type push struct {
	active bool
	at     time.Time
}

// streamActive holds StreamIsActive open and hands on what comes.
func (c *Caller) streamActive(ctx context.Context, pushes chan<- push) {
	c.hold(ctx, false, func(received func()) error {
		stream, err := c.client.StreamIsActive(ctx, c.ref())
		for err == nil {
			var message *pb.IsActiveResponse
			if message, err = stream.Recv(); err != nil {
				break
			}
			received()
			select {
			case pushes <- push{active: message.GetResult(), at: time.Now()}:
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		return err
	})
}

// streamSpecs holds StreamMetricSpec open and hands on what comes.
func (c *Caller) streamSpecs(ctx context.Context, specs chan<- metricSpec) {
	c.hold(ctx, true, func(received func()) error {
		stream, err := c.client.StreamMetricSpec(ctx, c.ref())
		for err == nil {
			var message *pb.GetMetricSpecResponse
			if message, err = stream.Recv(); err != nil {
				break
			}
			received()
			spec, errSpec := newMetricSpec(message)
			if errSpec != nil {
				continue // KEDA ignores an empty update
			}
			spec.streamed = true
			select {
			case specs <- spec:
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		return err
	})
}

// KEDA opens a stream that ended again after firstRetry, which doubles up to
// lastRetry (external_scaler.go:275-303 and 313-341).
const (
	firstRetry = 2 * time.Second
	lastRetry  = time.Minute
)

// hold runs a stream again and again until ctx ends. An end with EOF makes the
// wait short again; so does a message, if forgiving is set.
func (c *Caller) hold(ctx context.Context, forgiving bool, stream func(received func()) error) {
	wait := firstRetry
	for {
		some := false
		err := stream(func() { some = true })
		if errors.Is(err, io.EOF) || forgiving && some {
			wait = firstRetry
		}
		retry := time.NewTimer(wait)
		wait = min(2*wait, lastRetry)
		select {
		case <-ctx.Done():
			retry.Stop()
			return
		case <-retry.C:
		}
	}
}
