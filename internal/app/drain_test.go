package app_test

import (
	"context"
	"sync"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// arrivals are when messages came. They are safe for concurrent use.
type arrivals struct {
	mu  sync.Mutex
	all []time.Time
}

func (a *arrivals) add(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, at)
}

// since counts those after a moment.
func (a *arrivals) since(moment time.Time) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, at := range a.all {
		if at.After(moment) {
			n++
		}
	}
	return n
}

// TestArrivalsOfDrainedStreamCount: a consumer takes and acknowledges each entry at
// once, so there is no backlog, and yet as many replicas are asked for as keep up.
func TestArrivalsOfDrainedStreamCount(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("XGROUP", "CREATE", "orders", "billing", "0", "MKSTREAM")
	s := start(t, standalone(server.Addr()), setup{})
	ctx, cancel := context.WithCancel(t.Context())
	consumer := server.NewClient(func(*redis.Options) {})
	consumed := make(chan struct{})
	go func() {
		defer close(consumed)
		read := &redis.XReadGroupArgs{Group: "billing", Consumer: "one", Streams: []string{"orders", ">"}, Block: time.Second}
		for ctx.Err() == nil {
			for _, stream := range consumer.XReadGroup(ctx, read).Val() {
				for _, message := range stream.Messages {
					consumer.XAck(ctx, "orders", "billing", message.ID)
				}
			}
		}
	}()
	produced := make(chan struct{})
	var arrived arrivals
	go func() {
		defer close(produced)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for ; ctx.Err() == nil; <-ticker.C {
			if server.Client().XAdd(ctx, &redis.XAddArgs{Stream: "orders", Values: []string{"n", "1"}}).Err() == nil {
				arrived.add(time.Now())
			}
		}
	}()
	r := &pb.ScaledObjectRef{Namespace: "shop", Name: "billing", ScalerMetadata: map[string]string{
		"connection": "main", "stream": "orders", "consumerGroup": "billing", "drainTime": "10s", "throughput": "5", "rateWindow": "10s",
	}}
	// 50 a second and 10 s are 500. A machine that stalls adds fewer, so they are counted.
	redistest.Eventually(t, "arrivals are reported", func() bool {
		value, active, err := s.ask(r)
		want := float64(arrived.since(time.Now().Add(-10 * time.Second)))
		return err == nil && active && want > 50 && value > 0.6*want && value < 1.2*want
	})
	cancel()
	<-consumed
	<-produced
	// What the consumer left behind has no owner.
	server.Do("XGROUP", "DESTROY", "orders", "billing")
	server.Do("XGROUP", "CREATE", "orders", "billing", "$")
	redistest.Eventually(t, "nothing arrives any more", func() bool {
		value, active, err := s.ask(r)
		return err == nil && !active && value == 0
	})
}
